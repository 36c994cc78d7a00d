"""Where the cases lie, a copy of one to work on, and the program that is run on it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from headscale.v1 import headscale_pb2_grpc, preauthkey_pb2, user_pb2

from tests.fakes.device import Device
from tests.fakes.ports import free_port
from tests.flow.cli.world import PROGRAM, Answer

ROOT = Path(__file__).parents[3]
CASES = next((found for above in ROOT.parents[:2] if (found := above / "shared" / "cases").is_dir()), None)
"""The folder of cases beside the checkout, or beside the folder of checkouts; None without one."""
STARTUP = 60.0


def copy_of(name: str, folder: Path) -> Path:
    """Copy a case into a folder, so that it can be written to; the test is skipped where the case is not there."""
    if CASES is None or not (CASES / name).is_dir():
        pytest.skip(f"shared/cases/{name} is not beside the checkout")
    copied = folder / "case"
    shutil.copytree(CASES / name, copied, copy_function=shutil.copyfile)
    copied.chmod(0o755)
    return copied


def elsewhere(folder: Path) -> dict[str, str]:
    """Variables that keep a server in its folder, on ports that are free, and from asking anybody for relays."""
    map_file = folder / "relay.yaml"
    map_file.write_text("regions: {998: {regioncode: away, nodes: [{name: n, hostname: relay.example.net}]}}\n")
    return {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "HEADSCALE_LISTEN_ADDR": f"127.0.0.1:{free_port()}",
        "HEADSCALE_METRICS_LISTEN_ADDR": "127.0.0.1:0",
        "HEADSCALE_GRPC_LISTEN_ADDR": "",
        "HEADSCALE_UNIX_SOCKET": str(folder / "admin.sock"),
        "HEADSCALE_STATE_DIR": str(folder / "state"),
        "HEADSCALE_DERP_URLS": "",
        "HEADSCALE_DERP_PATHS": str(map_file),
    }


async def run(folder: Path, env: dict[str, str], *words: str) -> Answer:
    """Run a command to its end in a folder."""
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), *words, cwd=folder, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(STARTUP):
        out, err = await process.communicate()
    assert b"Traceback" not in out + err, (out + err).decode()
    return Answer(process.returncode or 0, out.decode(), err.decode())


async def configtest(folder: Path) -> Answer:
    """Run `configtest` on the configuration of a case, where it lies, with ports that no other program uses."""
    env = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "HEADSCALE_LISTEN_ADDR": f"127.0.0.1:{free_port()}",
        "HEADSCALE_METRICS_LISTEN_ADDR": f"127.0.0.1:{free_port()}",
        "HEADSCALE_DERP_SERVER_STUN_LISTEN_ADDR": f"127.0.0.1:{free_port()}",
    }
    return await run(folder, env, "-c", "config.yaml", "configtest")


@dataclass
class Running:
    """A server that was started on a case."""

    folder: Path
    env: dict[str, str]
    log: list[str]

    async def cli(self, *words: str) -> Answer:
        """Run a command against the server; it must succeed."""
        answer = await run(self.folder, self.env, *words)
        assert answer.status == 0, answer
        return answer

    async def device(self, user: str, hostname: str = "laptop") -> Device:
        """Create a user and join a device of theirs; waits for its first map."""
        async with grpc.aio.insecure_channel(f"unix:{self.env['HEADSCALE_UNIX_SOCKET']}") as channel:
            admin: Any = headscale_pb2_grpc.HeadscaleServiceStub(channel)  # type: ignore[no-untyped-call]
            made = (await admin.CreateUser(user_pb2.CreateUserRequest(name=user), timeout=10)).user.id
            answer = await admin.CreatePreAuthKey(preauthkey_pb2.CreatePreAuthKeyRequest(user=made), timeout=10)
        device = Device(f"http://{self.env['HEADSCALE_LISTEN_ADDR']}", hostname)
        return await device.join(answer.pre_auth_key.key)


@asynccontextmanager
async def serving(folder: Path, **more: str) -> AsyncIterator[Running]:
    """Run `serve` on the configuration of a case until the block ends, which it must survive."""
    env = {**elsewhere(folder.parent), **more}
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "-c", "config.yaml", "serve", cwd=folder, env=env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    running = Running(folder, env, [])

    async def read_log(stream: asyncio.StreamReader) -> None:
        while line := (await stream.readline()).decode():
            running.log.append(line)

    async def healthy() -> bool:
        assert process.returncode is None, "".join(running.log)
        try:
            return (await web.get(f"http://{env['HEADSCALE_LISTEN_ADDR']}/health")).status_code == 200
        except httpx.TransportError:
            return False

    reading = asyncio.create_task(read_log(process.stdout))
    try:
        async with httpx.AsyncClient(trust_env=False) as web, asyncio.timeout(STARTUP):
            while not await healthy():  # noqa: ASYNC110  another process tells of no event
                await asyncio.sleep(0.05)
        yield running
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STARTUP):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await reading
