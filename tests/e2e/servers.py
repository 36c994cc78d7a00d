"""Our server in a lab, as operators run it: the installed command, one process on SQLite or a process per part
on PostgreSQL and Redis with two gateways and two map streamers behind one address.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.lab import PUBLIC_IP, SERVER_IP, SERVERS, Lab, Process
from tests.e2e.waiting import STARTUP, wait_for

HEADSCALE = str(Path(sys.executable).with_name("headscale"))

_AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]

_CONFIG = """
server_url: http://{server}:8080
listen_addr: {server}:8080
metrics_listen_addr: 127.0.0.1:9090
state_dir: {folder}
unix_socket: {folder}/headscale.sock
noise: {{private_key_path: {folder}/noise_private.key}}
database:
{database}
prefixes: {{v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48"}}
dns: {{magic_dns: true, base_domain: tail.test, override_local_dns: false}}
derp:
  server:
    enabled: true
    region_id: 900
    region_code: lab
    region_name: Lab
    hostname: {public}
    ipv4: {public}
    listen_addr: 0.0.0.0:8443
    stun_listen_addr: 0.0.0.0:3478
    private_key_path: {folder}/derp_private.key
policy: {{mode: database}}
log: {{level: debug, format: text}}
{more}
"""


class Server:
    """What both shapes offer: the command line, the processes by name, and a look inside the clients."""

    url = f"http://{SERVER_IP}:8080"

    def __init__(self, lab: Lab, name: str = "server") -> None:
        self.lab = lab
        self.folder = lab.folder / name
        self.folder.mkdir(exist_ok=True)
        self.config = self.folder / "config.yaml"
        self.processes: dict[str, Process] = {}
        self._commands: dict[str, tuple[list[str], dict[str, str]]] = {}

    def _configure(self, settings: Mapping[str, object] | None, database: str, more: str = "") -> None:
        text = _CONFIG.format(server=SERVER_IP, public=PUBLIC_IP, folder=self.folder, database=database, more=more)
        if settings:
            text = yaml.safe_dump({**yaml.safe_load(text), **settings})
            self.url = str(settings.get("server_url", self.url))
        self.config.write_text(text)

    def spawn(self, name: str, *arguments: str, **environment: str) -> None:
        """Start a process of ours; `restart` starts it again the same way."""
        # Each its own port: they share a host here, which containers do not.
        environment.setdefault("HEADSCALE_METRICS_LISTEN_ADDR", f"127.0.0.1:{9090 + len(self._commands)}")
        self._commands[name] = ([HEADSCALE, "-c", str(self.config), "serve", *arguments], environment)
        self.restart(name)

    def restart(self, name: str) -> None:
        """Start a process that ended, on what it left behind."""
        if name in ("redis", "postgres"):
            getattr(self, f"restart_{name}")()
            return
        command, environment = self._commands[name]
        self.processes[name] = self.lab.start(SERVERS, f"{self.folder.name}/{name}", command, environment)

    def cli(self, *arguments: str, socket: str | None = None) -> str:
        """Run the command line as an administrator on the server's host."""
        environment = {**os.environ, **({"HEADSCALE_UNIX_SOCKET": socket} if socket else {})}
        done = subprocess.run(
            [HEADSCALE, "-c", str(self.config), *arguments],
            capture_output=True, text=True, timeout=60, env=environment,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"headscale {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return done.stdout

    def administrable(self) -> bool:
        """Whether the administration socket answers."""
        try:
            return "ok" in self.cli("health")
        except AssertionError:
            return False

    def json(self, *arguments: str) -> Any:
        """The same, with its answer as data."""
        return json.loads(self.cli(*arguments, "-o", "json", "--modern"))

    def auth_key(self, user: str, *options: str) -> str:
        """A new pre-auth key of a user, who is made when absent."""
        if user not in {known["name"] for known in self.json("users", "list") or []}:
            self.cli("users", "create", user)
        return str(self.json("preauthkeys", "create", "--user", user, *options)["key"])

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The nodes by given name."""
        return {node["givenName"]: node for node in self.json("nodes", "list") or []}

    def wait_healthy(self, deadline: float = STARTUP) -> None:
        """Wait until `/health` passes at the address that clients use."""

        def healthy() -> bool:
            for name, process in self.processes.items():
                assert process.running(), f"{name} ended: {process.text()[-3000:]}"
            return '"pass"' in subprocess.run(
                ["ip", "netns", "exec", self.lab.namespace(SERVERS), "curl", "-sk", "-m", "2", f"{self.url}/health"],
                capture_output=True, text=True,
            ).stdout  # fmt: skip

        wait_for("the server is healthy", healthy, deadline)

    def close(self) -> None:
        """Ask every process to end, in the reverse order of their start."""
        for process in reversed(list(self.processes.values())):
            process.stop()

    def faults(self) -> list[str]:
        """What no input may cause in a log, each with the lines around it."""
        found = []
        for name, process in self.processes.items():
            lines = process.text().splitlines()
            for number, line in enumerate(lines):
                if "Traceback" in line or "Task exception was never retrieved" in line or "never awaited" in line:
                    around = "\n".join(lines[max(0, number - 2) : number + 40])
                    found.append(f"{name}: {around}")
        return found


class Embedded(Server):
    """One process on SQLite with the bus in memory; `settings` are put over its configuration."""

    def __init__(self, lab: Lab, settings: Mapping[str, object] | None = None) -> None:
        super().__init__(lab)
        database = f"  type: sqlite\n  sqlite: {{path: {self.folder}/db.sqlite}}"
        self._configure(settings, database)
        self.spawn("all")
        self.wait_healthy()


class Stack(Server):
    """A process per part on PostgreSQL and Redis, two gateways and two map streamers behind one address.

    With two `auths` each gateway has one of its own.
    """

    def __init__(self, lab: Lab, settings: Mapping[str, object] | None = None, *, auths: int = 1) -> None:
        super().__init__(lab)
        self._start_postgres()
        self._start_redis()
        database = (
            "  type: postgres\n  postgres: {host: 127.0.0.1, port: 5432, name: headscale, user: headscale, pass: x}"
        )
        more = (
            "bus: {url: 'redis://127.0.0.1:6379/0'}\nservices:\n  token: lab-deployment-token-0123456789abcdef\n"
            "  registry: {listen_addr: '127.0.0.1:50051', addresses: ['127.0.0.1:50051']}\n"
            "  policy: {listen_addr: '127.0.0.1:50052', addresses: ['127.0.0.1:50052']}\n"
            "  auth: {listen_addr: '127.0.0.1:50053', addresses: ['127.0.0.1:50053']}\n"
            "  map_streamer: {listen_addr: '127.0.0.1:50054', addresses: ['127.0.0.1:50054', '127.0.0.1:50055']}\n"
            "  derp: {listen_addr: '127.0.0.1:50056'}\n"
        )
        self._configure(settings, database, more)
        for name in ("registry", "policy", "auth", "derp"):
            self.spawn(name, name)
        self.spawn("map-streamer-1", "map-streamer")
        self.spawn("map-streamer-2", "map-streamer", HEADSCALE_SERVICES_MAP_STREAMER_LISTEN_ADDR="127.0.0.1:50055")
        if auths == 2:
            self.spawn("auth-2", "auth", HEADSCALE_SERVICES_AUTH_LISTEN_ADDR="127.0.0.1:50057")
        for number in ("1", "2"):
            auth = "127.0.0.1:50057" if number == "2" and auths == 2 else "127.0.0.1:50053"
            self.spawn(
                f"gateway-{number}", "gateway",
                HEADSCALE_LISTEN_ADDR=f"127.0.0.1:808{number}",
                HEADSCALE_UNIX_SOCKET=self.socket_of(int(number)),
                HEADSCALE_GRPC_LISTEN_ADDR=f"127.0.0.1:5044{number}",
                HEADSCALE_SERVICES_GATEWAY_LISTEN_ADDR=f"127.0.0.1:5006{number}",
                HEADSCALE_SERVICES_AUTH_ADDRESSES=auth,
            )  # fmt: skip
        self.processes["balancer"] = lab.start(
            SERVERS, "server/balancer",
            [sys.executable, str(Path(__file__).with_name("balancer.py")), f"{SERVER_IP}:8080",
             "127.0.0.1:8081", "127.0.0.1:8082"],
        )  # fmt: skip
        self.wait_healthy()

    def socket_of(self, gateway: int) -> str:
        """The administration socket of a gateway; the first one's is the configured path."""
        return str(self.folder / ("headscale.sock" if gateway == 1 else f"headscale{gateway}.sock"))

    def restart_redis(self) -> None:
        """Start the bus again after its loss."""
        self._start_redis()

    def restart_postgres(self) -> None:
        """Start the database server on its data."""
        programs, data = postgres_programs(), self.postgres_data
        self.processes["postgres"] = self.lab.start(
            SERVERS, "server/postgres",
            [*_AS_POSTGRES, f"{programs}/postgres", "-D", f"{data}/d", "-k", str(data),
             "-c", "listen_addresses=127.0.0.1",
             "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"],
        )  # fmt: skip

    def _start_redis(self) -> None:
        self.processes["redis"] = self.lab.start(
            SERVERS, "server/redis",
            ["redis-server", "--bind", "127.0.0.1", "--port", "6379", "--save", "", "--appendonly", "no",
             "--dir", str(self.folder)],
        )  # fmt: skip

    def _start_postgres(self) -> None:
        programs = postgres_programs()
        assert programs is not None
        data = Path("/var/tmp") / f"{self.lab.namespace('pg')}"
        data.mkdir(mode=0o700)
        shutil.chown(data, "postgres")
        self.postgres_data = data
        subprocess.run(
            [*_AS_POSTGRES, f"{programs}/initdb", "-D", f"{data}/d", "-A", "trust", "-U", "headscale", "--no-sync"],
            check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        self.restart_postgres()
        wait_for(
            "PostgreSQL answers",
            lambda: subprocess.run(
                [f"{programs}/psql", "-h", str(data), "-U", "headscale", "-d", "postgres", "-c",
                 "create database headscale"], capture_output=True, cwd="/",
            ).returncode == 0,
            20,
        )  # fmt: skip

    def close(self) -> None:
        """Remove what lies outside the lab's folder."""
        super().close()
        shutil.rmtree(self.postgres_data, ignore_errors=True)


def postgres_programs() -> Path | None:
    """Where PostgreSQL's programs are, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def missing_for_stack() -> str | None:
    """Why no stack can run here, or None."""
    if postgres_programs() is None:
        return "PostgreSQL is not installed"
    if shutil.which("redis-server") is None:
        return "Redis is not installed"
    return None
