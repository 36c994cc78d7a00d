"""The server under test: one that runs somewhere, with commands for what clients cannot do, or one of ours."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tests.bench.load.account import Account

HEADSCALE = str(Path(sys.executable).with_name("headscale"))


class Target(Protocol):
    """What a scenario may do to a server besides being its client."""

    url: str
    auth_keys: Sequence[str]
    """Reusable pre-auth keys; device n joins with key n modulo their number."""
    account: Account

    def set_policy(self, text: str) -> bool:
        """Put a policy in force; False when nobody said how."""
        ...

    async def restart(self) -> bool:
        """Restart the server and return at once when it has been asked; False when nobody said how."""
        ...


class Somewhere:
    """A server that runs already."""

    def __init__(
        self,
        url: str,
        auth_keys: Sequence[str],
        pids: Sequence[int],
        policy_command: str = "",
        restart_command: str = "",
    ) -> None:
        """The policy command gets the name of a file as `{}`; the restart command prints the new PIDs."""
        self.url, self.auth_keys, self.account = url, auth_keys, Account(pids)
        self._policy_command, self._restart_command = policy_command, restart_command

    def set_policy(self, text: str) -> bool:
        if not self._policy_command:
            return False
        with tempfile.NamedTemporaryFile("w", suffix=".hujson") as file:
            file.write(text)
            file.flush()
            command = [part.replace("{}", file.name) for part in shlex.split(self._policy_command)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return True

    async def restart(self) -> bool:
        if not self._restart_command:
            return False
        process = await asyncio.create_subprocess_exec(
            *shlex.split(self._restart_command), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        self.account = Account([int(word) for word in out.split()])
        return True


_CONFIG = """
server_url: {url}
listen_addr: {listen}
metrics_listen_addr: {metrics}
grpc_listen_addr: 127.0.0.1:0
unix_socket: {folder}/headscale.sock
noise: {{private_key_path: {folder}/noise_private.key}}
database: {{type: sqlite, sqlite: {{path: {folder}/db.sqlite}}}}
prefixes: {{v4: 100.64.0.0/10, v6: "fd7a:115c:a1e0::/48"}}
dns: {{magic_dns: true, base_domain: bench.test, override_local_dns: false}}
derp: {{server: {{enabled: false}}, urls: [], paths: ["{folder}/derp.yaml"]}}
policy: {{mode: database}}
log: {{level: warn, format: text}}
{more}
"""
_DERP = """
regions:
  1:
    regionid: 1
    regioncode: bench
    regionname: Bench
    nodes: [{name: 1a, regionid: 1, hostname: derp.bench.test, ipv4: 192.0.2.250}]
"""


class Embedded:
    """Our server as `headscale serve` starts it, on a free port of loopback, with its state in a folder."""

    def __init__(self, folder: Path, groups: int = 1, more: str = "") -> None:
        self.folder = folder
        port, metrics = _free_port(), _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.metrics = f"http://127.0.0.1:{metrics}/metrics"
        self.config = folder / "config.yaml"
        (folder / "derp.yaml").write_text(_DERP)
        self.config.write_text(
            _CONFIG.format(
                url=self.url, listen=f"127.0.0.1:{port}", metrics=f"127.0.0.1:{metrics}", folder=folder, more=more
            )
        )
        self._groups = groups
        self.auth_keys: list[str] = []
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.started = 0.0

    def start(self) -> None:
        """Start it, wait until it serves, and make the keys the first time."""
        self._spawn()
        wait_for_port(self.url)
        if not self.auth_keys:
            self._make_keys()

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self.started = time.monotonic()
            self._process = subprocess.Popen([HEADSCALE, "-c", str(self.config), "serve"], stdout=log, stderr=log)
        self.account = Account([self._process.pid])

    def _make_keys(self) -> None:
        deadline = time.monotonic() + 30
        while not (self.folder / "headscale.sock").exists():
            if time.monotonic() > deadline:
                raise TimeoutError("no administration socket")
            time.sleep(0.05)
        self.cli("users", "create", "bench")
        for group in range(self._groups):
            tags = ("--tags", f"tag:g{group}") if self._groups > 1 else ()
            made = self.cli("preauthkeys", "create", "--user", "1", "--reusable", "-e", "24h", "-o", "json", *tags)
            self.auth_keys.append(json.loads(made)["key"])

    def cli(self, *arguments: str) -> str:
        """Run the command line."""
        done = subprocess.run([HEADSCALE, "-c", str(self.config), *arguments], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"headscale {arguments[0]}: {done.stderr}{done.stdout}")
        return done.stdout

    def set_policy(self, text: str) -> bool:
        file = self.folder / "policy.hujson"
        file.write_text(text)
        self.cli("policy", "set", "-f", str(file))
        return True

    async def restart(self) -> bool:
        await asyncio.to_thread(self.stop)
        self._spawn()
        return True

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait until it has."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def faults(self) -> list[str]:
        """Lines of its log that no client may cause."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if "Traceback" in line or "never retrieved" in line or "level=error" in line]


def wait_for_port(url: str, deadline: float = 40.0) -> None:
    """Wait until somebody accepts connections there."""
    host, _, port = url.rpartition("//")[2].partition(":")
    end = time.monotonic() + deadline
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def raise_limits() -> None:
    """As many open files as the machine allows, for us and for servers started from here."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
