"""A small internet in network namespaces: one network of servers, and hosts that sit each behind its own NAT router.

Owns namespaces and what runs in them; knows nothing of Tailscale. Nothing routes to the outside, so that a stray
call dies inside. Names carry a random part, so that two runs do not meet, and `close()` takes away all it made.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Literal

Nat = Literal["easy", "hard", "udpblocked"]

SERVER_IP = "10.80.0.1"
"""Where the servers listen: private, so that clients take plain http for the control URL."""

PUBLIC_IP = "198.51.100.1"
"""The same host on the shared network, for relays and STUN (TEST-NET-2, RFC 5737)."""

SERVERS_PORTS = "50051-50069"
SERVERS = "inet"

_NAT_RULES = """
table ip lab {{
  chain postrouting {{ type nat hook postrouting priority srcnat; oifname "wan" {masquerade}; }}
  chain inbound {{ type filter hook input priority filter; iifname "wan" ct state new drop; }}
  chain forwarding {{ type filter hook forward priority filter; policy drop;
    {block}
    iifname "lan" oifname "wan" accept
    iifname "wan" ct state established,related accept
  }}
}}
"""


def missing() -> str | None:
    """Why no lab can be made here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "nft", "sysctl", "curl"):
        if shutil.which(program, path=_PATH) is None:
            return f"the program {program} is not installed"
    probe = f"ss{secrets.token_hex(2)}-probe"
    try:
        _run("ip", "netns", "add", probe)
        try:
            _run("ip", "netns", "exec", probe, "true")
        finally:
            _run("ip", "netns", "del", probe)
    except RuntimeError as error:
        return f"network namespaces do not work here: {error}"
    return None


_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _run(*command: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": _PATH}
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Process:
    """A program that the lab started: ended by its pid and reaped, its output in a file."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        self._popen = popen
        self.log = log

    @property
    def pid(self) -> int:
        """Of the program itself (`ip netns exec` replaces itself by it)."""
        return self._popen.pid

    @property
    def stdin(self) -> IO[bytes]:
        """The program's standard input."""
        assert self._popen.stdin is not None
        return self._popen.stdin

    def text(self) -> str:
        """All that it has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def running(self) -> bool:
        """Whether it still runs."""
        return self._popen.poll() is None

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        with contextlib.suppress(ProcessLookupError):
            self._popen.send_signal(signal.SIGKILL)
        self._popen.wait(10)

    def stop(self, patience: float = 15.0) -> int:
        """Ask it to end (SIGTERM), insist when it does not; returns its exit status."""
        if self.running():
            self._popen.send_signal(signal.SIGTERM)
            try:
                self._popen.wait(patience)
            except subprocess.TimeoutExpired:
                self.kill()
        return self._popen.wait(10)


class Lab:
    """The network of servers and the hosts behind their routers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prefix = f"ss{secrets.token_hex(2)}"
        self._namespaces: list[str] = []
        self._processes: list[Process] = []
        self._host_links: list[str] = []
        self.hosts: list[str] = []
        try:
            self._make_servers()
        except BaseException:
            self.close()
            raise

    def namespace(self, host: str) -> str:
        """The namespace of a host."""
        return f"{self._prefix}-{host}"

    def exec(self, host: str, *command: str, stdin: str | None = None) -> str:
        """Run a short program on a host and return what it printed."""
        return _run("ip", "netns", "exec", self.namespace(host), *command, stdin=stdin)

    def add_host(self, name: str, nat: Nat = "easy") -> None:
        """A host with an address of its own behind a router of its own."""
        self.hosts.append(name)
        index, router = len(self.hosts), f"{name}-nat"
        for made in (router, name):
            self._add_namespace(made)
        outside = f"w{index}"
        _run("ip", "link", "add", "wan", "netns", self.namespace(router), "type", "veth", "peer", "name", outside,
             "netns", self.namespace(SERVERS))  # fmt: skip
        self.exec(SERVERS, "ip", "link", "set", outside, "master", "br0", "up")
        self._address(router, "wan", f"198.51.100.{10 + index}/24")
        _run("ip", "link", "add", "lan", "netns", self.namespace(router), "type", "veth", "peer", "name", "eth0",
             "netns", self.namespace(name))  # fmt: skip
        self._address(router, "lan", f"10.81.{index}.1/24")
        self._address(name, "eth0", f"10.81.{index}.2/24")
        self.exec(name, "ip", "route", "add", "default", "via", f"10.81.{index}.1")
        self.exec(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.exec(router, "ip", "route", "add", "default", "via", PUBLIC_IP)
        self.set_nat(name, nat)

    def link_to_this_machine(self) -> str:
        """Join the servers' network to the machine that runs the tests; returns its address there.

        The network is one that the machine has no route to yet: a killed run may have left its link behind.
        """
        device = f"{self._prefix}h"
        taken = _run("ip", "-4", "route", "show", "table", "all")
        prefix = next(net for net in (f"10.83.{number}" for number in range(256)) if f"{net}." not in taken)
        _run("ip", "link", "add", device, "type", "veth", "peer", "name", "host", "netns", self.namespace(SERVERS))
        self._host_links.append(device)
        _run("ip", "addr", "add", f"{prefix}.1/24", "dev", device)
        _run("ip", "link", "set", device, "up")
        self._address(SERVERS, "host", f"{prefix}.2/24")
        self.exec(SERVERS, "ip", "route", "add", "default", "via", f"{prefix}.1")
        self.exec(SERVERS, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        return f"{prefix}.1"

    def add_neighbour(self, name: str, prefix: str) -> None:
        """A host that is behind the servers' network as behind its router."""
        self._add_namespace(name)
        _run("ip", "link", "add", f"n{name[:8]}", "netns", self.namespace(SERVERS), "type", "veth", "peer", "name",
             "eth0", "netns", self.namespace(name))  # fmt: skip
        self._address(SERVERS, f"n{name[:8]}", f"{prefix}.1/24")
        self._address(name, "eth0", f"{prefix}.2/24")
        self.exec(name, "ip", "route", "add", "default", "via", f"{prefix}.1")
        rule = """table ip lab {
          chain post { type nat hook postrouting priority srcnat; oifname "host" masquerade; }
        }
        """
        self.exec(SERVERS, "nft", "-f", "-", stdin=rule)

    def set_nat(self, host: str, nat: Nat) -> None:
        """Change what the host's router does: `hard` maps each destination to another port, so no hole can be made."""
        rules = _NAT_RULES.format(
            masquerade="masquerade fully-random" if nat == "hard" else "masquerade",
            block='iifname "lan" oifname "wan" meta l4proto udp drop' if nat == "udpblocked" else "",
        )
        self.exec(f"{host}-nat", "nft", "flush", "ruleset")
        self.exec(f"{host}-nat", "nft", "-f", "-", stdin=rules)

    def start(
        self, host: str, name: str, command: Sequence[str], env: Mapping[str, str] | None = None, stdin: bool = False
    ) -> Process:
        """Start a program on a host; its output goes to a log file named after it."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            popen = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace(host), *command],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "PATH": _PATH, **(env or {})},
                start_new_session=True,
            )
        process = Process(popen, log)
        self._processes.append(process)
        return process

    def close(self) -> None:
        """End every program and remove every namespace."""
        for process in reversed(self._processes):
            with contextlib.suppress(Exception):
                process.stop(5)
        for device in self._host_links:
            with contextlib.suppress(RuntimeError):
                _run("ip", "link", "del", device)
        for name in reversed(self._namespaces):
            with contextlib.suppress(RuntimeError):
                _run("ip", "netns", "del", name)
        self._processes.clear()
        self._host_links.clear()
        self._namespaces.clear()

    def _make_servers(self) -> None:
        self._add_namespace(SERVERS)
        # An address of its own: else the bridge takes that of its lowest port, and changes it when a host is added.
        self.exec(SERVERS, "ip", "link", "add", "br0", "address", "02:00:00:00:00:01", "type", "bridge")
        self.exec(SERVERS, "ip", "addr", "add", f"{SERVER_IP}/32", "dev", "lo")
        self._address(SERVERS, "br0", f"{PUBLIC_IP}/24")

    def _add_namespace(self, host: str) -> None:
        _run("ip", "netns", "add", self.namespace(host))
        self._namespaces.append(self.namespace(host))
        self.exec(host, "ip", "link", "set", "lo", "up")
        # Thousands of clients on one machine would sooner or later be given a port that a server wants back.
        self.exec(host, "sh", "-c", f"echo {SERVERS_PORTS} > /proc/sys/net/ipv4/ip_local_reserved_ports")

    def _address(self, host: str, device: str, address: str) -> None:
        self.exec(host, "ip", "addr", "add", address, "dev", device)
        self.exec(host, "ip", "link", "set", device, "up")
