"""Our server as a stack on loopback: a process per part, two gateways, two map streamers, PostgreSQL and Redis.

Devices dial the gateways directly, half of them each: a balancer would be part of the figures.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.load.account import Account
from tests.bench.load.target import (
    HEADSCALE,
    cli,
    faults_of,
    make_keys,
    put_policy,
    wait_for_port,
    write_config,
)
from tests.fakes.ports import free_port

GATEWAYS = STREAMERS = 2
_MORE = """
state_dir: {folder}
bus: {{url: "redis://127.0.0.1:{redis}/0"}}
services:
  token: bench-deployment-token-0123456789abcdef
  registry: {{listen_addr: "127.0.0.1:{registry}", addresses: ["127.0.0.1:{registry}"]}}
  policy: {{listen_addr: "127.0.0.1:{policy}", addresses: ["127.0.0.1:{policy}"]}}
  auth: {{listen_addr: "127.0.0.1:{auth}", addresses: ["127.0.0.1:{auth}"]}}
  map_streamer: {{listen_addr: "127.0.0.1:{streamer0}", addresses: ["127.0.0.1:{streamer0}", "127.0.0.1:{streamer1}"]}}
"""


def missing() -> str | None:
    """Why no stack can run here, or None."""
    if _postgres_programs() is None:
        return "PostgreSQL is not installed"
    if shutil.which("redis-server") is None:
        return "Redis is not installed"
    return None


def _postgres_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Stack:
    """The processes, by name."""

    def __init__(self, folder: Path, groups: int = 1) -> None:
        self.folder, self._groups = folder, groups
        names = ("registry", "policy", "auth", "streamer0", "streamer1", "redis")
        self._ports = {name: free_port() for name in names}
        self._gateway_ports = [free_port() for _ in range(GATEWAYS)]
        self.urls: Sequence[str] = [f"http://127.0.0.1:{port}" for port in self._gateway_ports]
        self._postgres = Path(tempfile.mkdtemp(prefix="bench-pg-"))
        database = (
            f"{{type: postgres, postgres: {{host: {self._postgres}, name: headscale, user: headscale, pass: x}}}}"
        )
        more = _MORE.format(folder=folder, **self._ports)
        self.config = write_config(folder, self.urls[0], "127.0.0.1:0", "127.0.0.1:0", database, more)
        self.auth_keys: list[str] = []
        self.started = 0.0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def account(self) -> Account:
        """All of it, the databases too."""
        return self._account

    def start(self) -> None:
        """Start all of it, and make the keys."""
        self._start_databases()
        self._start_services()
        self._wait()
        self.auth_keys += make_keys(self.config, self._groups)

    def _start_services(self) -> None:
        self.started = time.monotonic()
        for name in ("registry", "policy", "auth"):
            self._spawn(name, name)
        for number in range(STREAMERS):
            address = f"127.0.0.1:{self._ports[f'streamer{number}']}"
            self._spawn(f"map-streamer-{number}", "map-streamer", HEADSCALE_SERVICES_MAP_STREAMER_LISTEN_ADDR=address)
        for number in range(GATEWAYS):
            self._start_gateway(number)
        self._take_account()

    def _wait(self) -> None:
        try:
            for url in self.urls:
                wait_for_port(url)
            self._wait_administrable()
        except OSError as error:
            logs = (f"{log.name}: {log.read_text(errors='replace')[-500:]}" for log in self.folder.glob("*.log"))
            raise RuntimeError("the stack does not start\n" + "\n".join(logs)) from error

    def _start_gateway(self, number: int) -> None:
        socket = self.folder / ("headscale.sock" if not number else f"headscale{number}.sock")
        self._spawn(
            f"gateway-{number}", "gateway",
            HEADSCALE_LISTEN_ADDR=f"127.0.0.1:{self._gateway_ports[number]}",
            HEADSCALE_UNIX_SOCKET=str(socket),
            HEADSCALE_SERVICES_GATEWAY_LISTEN_ADDR=f"127.0.0.1:{free_port()}",
        )  # fmt: skip

    def _spawn(self, name: str, part: str, **environment: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [HEADSCALE, "-c", str(self.config), "serve", part], stdout=log, stderr=log,
                env={**os.environ, "HEADSCALE_METRICS_LISTEN_ADDR": f"127.0.0.1:{free_port()}", **environment},
            )  # fmt: skip

    def _take_account(self) -> None:
        trees = [process.pid for process in self._processes.values()]
        self._account = Account([], trees)

    def _wait_administrable(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                cli(self.config, "users", "list")
                return
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def _start_databases(self) -> None:
        programs, folder = _postgres_programs(), self._postgres
        assert programs is not None
        su: list[str] = []
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, "postgres")
            su = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
        initdb = [*su, f"{programs}/initdb", "-D", f"{folder}/d", "-A", "trust", "-U", "headscale", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/")
        folder.chmod(0o755)
        with (self.folder / "postgres.log").open("ab") as log:
            self._processes["postgres"] = subprocess.Popen(
                [*su, f"{programs}/postgres", "-D", f"{folder}/d", "-k", str(folder), "-c", "listen_addresses="],
                stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        with (self.folder / "redis.log").open("ab") as log:
            self._processes["redis"] = subprocess.Popen(
                ["redis-server", "--bind", "127.0.0.1", "--port", str(self._ports["redis"]), "--save", "",
                 "--appendonly", "no", "--dir", str(self.folder)],
                stdout=log, stderr=log,
            )  # fmt: skip
        create = [f"{programs}/createdb", "-h", str(folder), "-U", "headscale", "headscale"]
        end = time.monotonic() + 30
        while subprocess.run(create, capture_output=True, cwd="/").returncode:
            if time.monotonic() > end:
                raise TimeoutError("PostgreSQL does not answer")
            time.sleep(0.1)

    def set_policy(self, text: str) -> bool:
        """Put a policy in force."""
        put_policy(self.config, text)
        return True

    async def restart(self) -> bool:
        """Restart every process of ours; the databases stay."""
        await asyncio.to_thread(self._end, lambda name: name not in ("postgres", "redis"))
        self._start_services()
        return True

    async def restart_gateway(self) -> bool:
        """Restart the first gateway; its devices go to the other one meanwhile."""
        await asyncio.to_thread(self._end, lambda name: name == "gateway-0")
        self._start_gateway(0)
        self._take_account()
        await asyncio.to_thread(wait_for_port, self.urls[0])
        return True

    def _end(self, which: object) -> None:
        assert callable(which)
        ending = [name for name in reversed(self._processes) if which(name)]
        for name in ending:
            self._processes[name].send_signal(signal.SIGTERM)
        for name in ending:
            process = self._processes.pop(name)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop(self) -> None:
        """End all of it."""
        self._end(lambda name: name not in ("postgres", "redis"))
        self._end(lambda name: True)
        shutil.rmtree(self._postgres, ignore_errors=True)

    def faults(self) -> list[str]:
        """Lines of the logs that no client may cause."""
        return [f"{log.stem}: {line}" for log in sorted(self.folder.glob("*.log")) for line in faults_of(log)]
