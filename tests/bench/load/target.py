"""The server under test: one that runs somewhere, with commands for what clients cannot do, or one of ours."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from tests.bench.load.account import Account
from tests.fakes.certificates import issue
from tests.fakes.ports import free_port

HEADSCALE = str(Path(sys.executable).with_name("headscale"))
STARTUP = 120.0
"""Seconds a server may take to serve. It bounds a hang only; what a scenario measures has bounds of its own."""


class Target(Protocol):
    """What a scenario may do to a server besides being its client."""

    @property
    def urls(self) -> Sequence[str]:
        """Where devices dial: all of the same server."""
        ...

    @property
    def auth_keys(self) -> Sequence[str]:
        """Reusable pre-auth keys; device n joins with key n modulo their number."""
        ...

    @property
    def account(self) -> Account:
        """What it costs."""
        ...

    def set_policy(self, text: str) -> bool:
        """Put a policy in force; False when nobody said how."""
        ...

    async def restart(self) -> bool:
        """Restart all of the server and return at once when it has been asked; False when nobody said how."""
        ...

    async def restart_gateway(self) -> bool:
        """Restart, as planned restarts go, what clients are connected to, or one of several of it."""
        ...


class Somewhere:
    """A server that runs already."""

    def __init__(
        self,
        urls: Sequence[str],
        auth_keys: Sequence[str],
        pids: Sequence[int],
        policy_command: str = "",
        restart_command: str = "",
    ) -> None:
        """The policy command gets the name of a file as `{}`; the restart command prints the new PIDs."""
        self.urls, self.auth_keys, self.account = tuple(urls), auth_keys, Account(pids)
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
        # Not a process of the loop: uvloop lets it inherit copies of our streams, which the server would keep open.
        command = shlex.split(self._restart_command)
        done = await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.PIPE)
        self.account = Account([int(word) for word in done.stdout.split()])
        return True

    async def restart_gateway(self) -> bool:
        return await self.restart()


_CONFIG = """
server_url: {url}
listen_addr: {listen}
metrics_listen_addr: {metrics}
grpc_listen_addr: 127.0.0.1:0
unix_socket: {folder}/headscale.sock
noise: {{private_key_path: {folder}/noise_private.key}}
database: {database}
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


def write_config(folder: Path, url: str, listen: str, metrics: str, database: str, more: str) -> Path:
    """Write a configuration for a server of ours; the file."""
    (folder / "derp.yaml").write_text(_DERP)
    file = folder / "config.yaml"
    file.write_text(
        _CONFIG.format(url=url, listen=listen, metrics=metrics, folder=folder, database=database, more=more)
    )
    return file


def cli(config: Path, *arguments: str) -> str:
    """Run the command line."""
    done = subprocess.run([HEADSCALE, "-c", str(config), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"headscale {arguments[0]}: {done.stderr}{done.stdout}")
    return done.stdout


def make_keys(config: Path, groups: int) -> list[str]:
    """A user and its reusable pre-auth keys, one for each group; a key of several has the group's tag."""
    cli(config, "users", "create", "bench")
    keys = []
    for group in range(groups):
        tags = ("--tags", f"tag:g{group}") if groups > 1 else ()
        made = cli(config, "preauthkeys", "create", "--user", "1", "--reusable", "-e", "24h", "-o", "json", *tags)
        keys.append(str(json.loads(made)["key"]))
    return keys


def put_policy(config: Path, text: str) -> None:
    """Put a policy in force."""
    file = config.with_name("policy.hujson")
    file.write_text(text)
    cli(config, "policy", "set", "-f", str(file))


_FAULT = re.compile(r"Traceback|never retrieved|^\S+ ERROR ")


def faults_of(log: Path) -> list[str]:
    """Lines of a server's log that no client may cause."""
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if _FAULT.search(line)]


class Embedded:
    """Our server as `headscale serve` starts it, on a free port of loopback, with its state in a folder."""

    def __init__(self, folder: Path, groups: int = 1, more: str = "", *, tls: bool = False) -> None:
        self.folder = folder
        port, metrics = free_port(), free_port()
        self.urls = (f"{'https' if tls else 'http'}://127.0.0.1:{port}",)
        if tls:
            issue("localhost", "127.0.0.1").write(folder)
            more += f"\ntls_cert_path: {folder}/server.pem\ntls_key_path: {folder}/server.key"
        self.metrics = f"http://127.0.0.1:{metrics}/metrics"
        self.config = folder / "config.yaml"
        database = f"{{type: sqlite, sqlite: {{path: {folder}/db.sqlite}}}}"
        write_config(folder, self.urls[0], f"127.0.0.1:{port}", f"127.0.0.1:{metrics}", database, more)
        self._groups = groups
        self.auth_keys: list[str] = []
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.started = 0.0

    def start(self) -> None:
        """Start it, wait until it serves, and make the keys the first time."""
        self._spawn()
        wait_for_port(self.urls[0], self._alive)
        if not self.auth_keys:
            self._make_keys()

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self.started = time.monotonic()
            self._process = subprocess.Popen([HEADSCALE, "-c", str(self.config), "serve"], stdout=log, stderr=log)
        self.account = Account([self._process.pid])

    def _alive(self) -> None:
        assert self._process is not None
        if (status := self._process.poll()) is not None:
            said = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the server ended with status {status} before it served: {said}")

    def _make_keys(self) -> None:
        deadline = time.monotonic() + STARTUP
        while not (self.folder / "headscale.sock").exists():
            if time.monotonic() > deadline:
                raise TimeoutError("no administration socket")
            time.sleep(0.05)
        self.auth_keys += make_keys(self.config, self._groups)

    def set_policy(self, text: str) -> bool:
        put_policy(self.config, text)
        return True

    async def restart(self) -> bool:
        await asyncio.to_thread(self.stop)
        self._spawn()
        return True

    async def restart_gateway(self) -> bool:
        return await self.restart()

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
        return faults_of(self.log)


def wait_for_port(url: str, alive: Callable[[], None] = lambda: None, deadline: float = STARTUP) -> None:
    """Wait until a program accepts connections there; `alive` raises when that program has ended."""
    host, _, port = url.rpartition("//")[2].partition(":")
    end = time.monotonic() + deadline
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            alive()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def raise_limits() -> None:
    """As many open files as the machine allows, for us and for servers started from here."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
