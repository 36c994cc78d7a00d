"""`serve gateway` with two workers, as operators run it, before real services: what clients notice, what stays."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import orjson
import pytest
from headscale.v1 import headscale_pb2, headscale_pb2_grpc
from smartscale.gateway.v1 import gateway_pb2 as pb

from services.shared.config.model import BusConfig, ServiceConfig, ServicesConfig
from services.shared.runtime.process import alone
from services.shared.telemetry import Telemetry
from tests.fakes.device import Device
from tests.fakes.noise_client import StreamResetError
from tests.fakes.ports import free_pair, free_ports
from tests.fakes.redis_server import PROGRAM, RedisServer
from tests.fakes.tailnet import BUILDS, Tailnet, config_in

TOKEN = "workers-deployment-token-0123456789"
SERVICES = ("policy", "registry", "auth", "map_streamer")
DEADLINE = 60.0
STACK = f"gateway: {{workers: 2}}\nbus: {{url: 'redis://127.0.0.1:1'}}\nservices: {{token: {TOKEN}}}\n"


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(DEADLINE):
        while not (found := await condition()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return found


class Workers:
    """The supervisor, what it said, and the tailnet that its workers serve."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, metrics: list[int]) -> None:
        self.process, self.folder, self.metrics = process, folder, metrics
        self.tailnet: Tailnet
        self.log = folder / "log"

    def said(self) -> str:
        return self.log.read_text()

    async def hear(self, pattern: str, times: int = 1) -> list[Any]:
        async def heard() -> list[Any]:
            assert self.process.returncode is None, self.said()
            found = re.findall(pattern, self.said())
            return found if len(found) >= times else []

        return list(await until(heard))

    async def pids(self, lives: int = 2) -> dict[int, int]:
        found = await self.hear(r"worker is ready.*worker=(\d+) pid=(\d+)", lives)
        return {int(number): int(pid) for number, pid in found}

    async def sessions(self, worker: int) -> dict[int, str]:
        """The nodes that have a map session at a worker, and its state."""

        def read() -> Any:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.metrics[worker - 1]}/debug/sessions", headers={"Accept": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=5) as answer:
                return orjson.loads(answer.read())

        try:
            document = await asyncio.to_thread(read)
        except OSError:
            return {}
        return {int(session["node"]): str(session["state"]) for session in document["sessions"]}

    async def join_at(self, worker: int, key: str, hostname: str) -> Device:
        """A device whose connection the kernel gave to a worker; others that came to the other one leave again."""
        for _ in range(40):
            device = await self.tailnet.device(hostname).join(key)
            if device.id in await self.sessions(worker):
                return device
            await device.close()
            self.tailnet.devices.remove(device)
            await self.tailnet.delete(device.id)
        raise AssertionError("the kernel never chose this worker")


@asynccontextmanager
async def two_workers(folder: Path, *, with_services: bool = True) -> AsyncIterator[Workers]:
    async with AsyncExitStack() as stack:
        redis = RedisServer(folder)
        await redis.start()
        stack.push_async_callback(redis.stop)
        port, admin, own, *ports = free_ports(7)
        metrics = free_pair()
        addresses = {
            name: ServiceConfig(listen_addr=f"127.0.0.1:{used}", addresses=(f"127.0.0.1:{used}",))
            for name, used in zip(SERVICES, ports, strict=True)
        }
        config = config_in(folder)
        config = replace(config, bus=BusConfig(url=redis.url), services=ServicesConfig(token=TOKEN, **addresses))
        if with_services:
            await stack.enter_async_context(alone(config, {name: BUILDS[name] for name in SERVICES}, Telemetry()))
        given = "".join(
            f"  {name}: {{listen_addr: '{service.listen_addr}', addresses: ['{service.listen_addr}']}}\n"
            for name, service in addresses.items()
        )
        (folder / "config.yaml").write_text(
            f"server_url: http://127.0.0.1:{port}\nlisten_addr: 127.0.0.1:{port}\nstate_dir: {folder}\n"
            f"metrics_listen_addr: 127.0.0.1:{metrics[0]}\ngrpc_listen_addr: 127.0.0.1:{admin}\n"
            f"grpc_allow_insecure: true\nunix_socket: {folder}/admin.sock\nbus: {{url: '{redis.url}'}}\n"
            f"services:\n  token: {TOKEN}\n  gateway: {{listen_addr: '127.0.0.1:{own}'}}\n{given}"
            "derp: {server: {enabled: true}}\ngateway: {workers: 2, drain_timeout: 1s}\n".replace(
                "derp: {server: {enabled: false}, paths: []}", "derp: {server: {enabled: true}}"
            )
        )
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cli", "-c", str(folder / "config.yaml"), "serve", "gateway"),
                stdout=log,
                stderr=log,
                cwd="/",
                env={"HOME": str(folder), "PATH": os.environ["PATH"]},
            )
        workers = Workers(process, folder, metrics)
        try:
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"unix:{folder}/admin.sock"))
            await workers.hear(r"ready.*workers=2")
            workers.tailnet = Tailnet(f"http://127.0.0.1:{port}", channel, None, Telemetry())
            yield workers
            for device in workers.tailnet.devices:
                await device.close()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def sockets_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_socket()]


async def gone(*pids: int) -> None:
    async def all_gone() -> bool:
        return not any(is_there(pid) for pid in pids)

    await until(all_gone)


@pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")
async def test_two_workers_on_one_port_are_one_gateway_to_everybody(tmp_path: Path) -> None:
    async with two_workers(tmp_path) as workers:
        tailnet, first_pids = workers.tailnet, await workers.pids()
        key = await tailnet.auth_key(await tailnet.user("alice"))
        web, phone = await workers.join_at(1, key, "web"), await workers.join_at(2, key, "phone")
        await web.sees(phone, lambda peer: peer["Online"])
        await phone.sees(web, lambda peer: peer["Online"])
        await phone.report("192.0.2.1:1")
        await web.sees(phone, lambda peer: peer.get("Endpoints") == ["192.0.2.1:1"])

        # A question put to one worker reaches the node that the other one holds, and one that nobody has is refused.
        for device in (web, phone):
            asked = pb.C2nRequest(node_id=device.id, method="POST", path="/echo", body=b"hello")
            assert (await tailnet.debug.C2n(asked, timeout=DEADLINE)).body == b"hello"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await tailnet.debug.Ping(pb.PingRequest(node_id=4711), timeout=DEADLINE)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND

        # Hanging up, like telling a node that it was deleted, goes to the worker that holds its session.
        late = await workers.join_at(2, key, "late")
        await tailnet.delete(late.id)
        async with asyncio.timeout(DEADLINE):
            await late.map_ended.wait()

        os.kill(workers.process.pid, signal.SIGHUP)
        await workers.hear("configuration reloaded", 2)

        # The first one dies: its device comes back to whoever is there, nobody hears that it was away.
        os.kill(first_pids[1], signal.SIGKILL)
        async with asyncio.timeout(DEADLINE):
            await web.map_ended.wait()
        await web.close()
        await until(lambda: comes_back(web))
        await web.sees(phone)
        now = await workers.pids(3)
        assert now[2] == first_pids[2] and now[1] != first_pids[1]
        assert not phone.map_ended.is_set()
        patches = [patch for message in phone.netmap.history for patch in message.get("PeersChangedPatch", [])]
        assert not any(patch.get("NodeID") == web.id and patch.get("Online") is False for patch in patches)
        # The new one has taken the socket over.
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/admin.sock") as channel:
            admin: Any = headscale_pb2_grpc.HeadscaleServiceStub(channel)  # type: ignore[no-untyped-call]
            assert (await admin.Health(headscale_pb2.HealthRequest(), timeout=DEADLINE)).database_connectivity

        workers.process.terminate()
        assert await workers.process.wait() == 0
        assert not any(is_there(pid) for pid in now.values())
        assert not sockets_in(tmp_path)
        assert "Traceback" not in workers.said()


async def comes_back(device: Device) -> bool:
    device.failure = None
    try:
        await device.connect()
        if await device.open_map() == 200:
            await device.until(lambda: device.netmap.node is not None)
            return True
    except (OSError, EOFError, StreamResetError):
        pass
    await device.close()
    return False


@pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")
async def test_nothing_stays_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    async with two_workers(tmp_path, with_services=False) as workers:
        pids = await workers.pids()
        workers.process.kill()
        await workers.process.wait()
        await gone(*pids.values())
        assert not sockets_in(tmp_path)


def refused(folder: Path, words: list[str], settings: str) -> str:
    (folder / "config.yaml").write_text(
        f"server_url: http://127.0.0.1:1\nstate_dir: {folder}\nderp: {{server: {{enabled: true}}}}\n{settings}"
    )
    done = subprocess.run(
        [sys.executable, "-m", "cli", "-c", str(folder / "config.yaml"), "serve", *words],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        cwd="/",
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("words", [[], ["gateway", "derp"]])
def test_one_process_that_holds_more_than_the_gateway_has_no_workers(tmp_path: Path, words: list[str]) -> None:
    said = refused(tmp_path, words, "gateway: {workers: 2}\n")
    assert "gateway.workers is 2" in said and " serve gateway" in said and "workers: 1" in said
    assert not (tmp_path / "db.sqlite").exists()


def test_a_port_that_others_share_is_taken_all_the_same(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as stranger:
        port = stranger.getsockname()[1]
        said = refused(tmp_path, ["gateway"], f"listen_addr: 127.0.0.1:{port}\n{STACK}")
    assert f'key=listen_addr reason="127.0.0.1:{port} is in use by ' in said and f"(kill {os.getpid()})" in said


def test_workers_need_what_other_processes_of_a_stack_need(tmp_path: Path) -> None:
    said = refused(tmp_path, ["gateway"], "gateway: {workers: 2}\n")
    assert "bus.url" in said and "services.token" in said
