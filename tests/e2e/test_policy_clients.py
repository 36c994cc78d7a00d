"""A policy as two published clients feel it: what is denied times out, what is allowed goes through, within a second.

The tests of this module build on each other, in order.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.clients import Caddy, Mihomo
from tests.e2e.inside import netmap
from tests.e2e.lab import Lab, Process
from tests.e2e.servers import Server
from tests.e2e.waiting import wait_for

SOON = 1.0
"""Seconds from the answer of `policy set` until the clients feel it."""

ALLOW_ALL = {"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}
DENY_ALL: dict[str, object] = {"acls": []}


class OpenConnection:
    """A TCP connection over the tailnet that stays open: each `ask` sends one request on it and reads its answer."""

    _PROGRAM = """
import socket, sys, time
host, port = sys.argv[1], 80
def until(link, end):
    data = b""
    while not data.endswith(end) and end not in data:
        more = link.recv(4096)
        if not more: raise OSError("closed")
        data += more
    return data
link = socket.create_connection(("127.0.0.1", 18501), 10)
link.sendall(bytes([5, 1, 0])); link.recv(2)
link.sendall(bytes([5, 1, 0, 1]) + socket.inet_aton(host) + port.to_bytes(2, "big")); link.recv(10)
print("open", flush=True)
for number, line in enumerate(sys.stdin):
    link.settimeout(float(line))
    try:
        link.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        until(link, b"hello from")
        print("answer", number, "yes", flush=True)
    except OSError as error:
        print("answer", number, "no", type(error).__name__, flush=True)
"""

    def __init__(self, net: Lab, client: Mihomo, address: str) -> None:
        command = [sys.executable, "-c", self._PROGRAM, address]
        self._process: Process = net.start(client.host, f"open-{time.monotonic_ns()}", command, stdin=True)
        self._asked = 0
        wait_for("the connection is open", lambda: "open" in self._process.text() or None, 20)

    def ask(self, patience: float) -> bool:
        """Whether an answer came in time."""
        self._process.stdin.write(f"{patience}\n".encode())
        self._process.stdin.flush()
        wanted, self._asked = f"answer {self._asked} (yes|no)", self._asked + 1
        found = wait_for("the connection was tried", lambda: re.search(wanted, self._process.text()), patience + 10)
        return found[1] == "yes"

    def close(self) -> None:
        """End it."""
        self._process.stop(5)


@dataclass
class Pair:
    """Two clients that serve a page each, and a third that keeps connections open."""

    server: Server
    folder: Path
    one: Caddy
    two: Caddy
    third: Mihomo

    def address(self, name: str) -> str:
        """IPv4 address of a node."""
        return str(self.server.nodes()[name]["ipAddresses"][0])

    def set_policy(self, policy: dict[str, object]) -> float:
        """Put a policy in force; the time at which the command returned."""
        path = self.folder / "policy.hujson"
        path.write_text(json.dumps(policy))
        self.server.cli("policy", "set", "-f", str(path))
        return time.monotonic()


@pytest.fixture(scope="module")
def pair(server: Server, net: Lab, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The clients, in touch with each other."""
    key = server.auth_key("alice", "--reusable")
    for host in ("one", "two", "third"):
        net.add_host(host)
    made = Pair(
        server,
        tmp_path_factory.mktemp("policies"),
        Caddy(net, "one", "one", server.url, key),
        Caddy(net, "two", "two", server.url, key),
        Mihomo(net, "third", "third", server.url, key),
    )
    made.set_policy(ALLOW_ALL)
    for client in (made.one, made.two, made.third):
        client.start()
    made.one.wait_running()
    made.two.wait_running()
    one, two = made.address("one"), made.address("two")
    for client, address in ((made.one, two), (made.two, one), (made.third, one), (made.third, two)):
        wait_for(f"{client.name} reaches {address}", lambda c=client, a=address: reaches(c, a, 5), 60)  # type: ignore[misc]
    return made


def reaches(client: Caddy | Mihomo, address: str, patience: float = 0.5) -> bool:
    """Whether a page comes in time."""
    return "hello from" in client.fetch(f"http://{address}/", patience)


def felt_after(start: float, client: Caddy | Mihomo, address: str, allowed: bool, patience: float = 0.4) -> float:
    """Seconds from a policy until a client feels it: until a probe ends as it should."""

    def tried() -> float | None:
        began = time.monotonic()
        got = reaches(client, address, patience)
        # A denied probe only shows by waiting for its whole patience: what counts is when it began.
        return ((time.monotonic() if allowed else began) - start) or None if got == allowed else None

    what = f"{client.name} {'reaches' if allowed else 'does not reach'} {address}"
    felt = wait_for(what, tried, 20, every=0.01)
    print(f"{what}: felt after {felt * 1000:.0f} ms")
    return felt


def test_a_deny_is_felt_both_ways_within_a_second(pair: Pair) -> None:
    one, two = pair.address("one"), pair.address("two")
    start = pair.set_policy(DENY_ALL)
    felt = [felt_after(start, pair.one, two, False), felt_after(start, pair.two, one, False)]
    assert felt[0] < SOON, felt
    # The second was asked after the first had waited out its patience.
    assert felt[1] < SOON + 0.5, felt
    for client, address in ((pair.one, two), (pair.two, one)) * 2:
        assert not reaches(client, address, 1.0)
    nodes = pair.server.nodes()
    assert netmap(pair.server, int(nodes["one"]["id"]))["Peers"] == []


def test_an_allow_restores_both_ways_within_a_second(pair: Pair) -> None:
    one, two = pair.address("one"), pair.address("two")
    for client, address in ((pair.one, two), (pair.two, one)):
        pair.set_policy(DENY_ALL)
        felt_after(time.monotonic(), client, address, False)
        start = pair.set_policy(ALLOW_ALL)
        felt = felt_after(start, client, address, True)
        assert felt < SOON, f"{client.name}: {felt:.2f} s"


def test_what_is_allowed_one_way_goes_one_way(pair: Pair) -> None:
    one, two = pair.address("one"), pair.address("two")
    pair.set_policy(
        {"hosts": {"two": two, "one": one}, "acls": [{"action": "accept", "src": ["one"], "dst": ["two:80"]}]}
    )
    assert wait_for("one reaches two", lambda: reaches(pair.one, two), 5)
    felt_after(time.monotonic(), pair.two, one, False)
    assert not reaches(pair.two, one, 1.0)
    pair.set_policy(
        {"hosts": {"two": two, "one": one}, "acls": [{"action": "accept", "src": ["one"], "dst": ["two:81"]}]}
    )
    felt_after(time.monotonic(), pair.one, two, False)


def test_an_open_connection_stalls_while_denied_and_goes_on_when_allowed(pair: Pair, net: Lab) -> None:
    one = pair.address("one")
    pair.set_policy(ALLOW_ALL)
    wait_for("the third reaches one", lambda: reaches(pair.third, one, 2), 20)
    connection = OpenConnection(net, pair.third, one)
    try:
        assert connection.ask(5)
        start = pair.set_policy(DENY_ALL)
        assert felt_after(start, pair.third, one, False) < SOON
        assert not connection.ask(1.0)
        start = pair.set_policy(ALLOW_ALL)
        assert felt_after(start, pair.third, one, True) < SOON
        wait_for("the connection that was open goes on", lambda: connection.ask(3) or None, 20)
    finally:
        connection.close()


def test_an_open_connection_goes_on_while_both_still_see_each_other(pair: Pair, net: Lab) -> None:
    """Clients check the first packet of a TCP connection only; the filter then keeps out new ones."""
    one = pair.address("one")
    pair.set_policy(ALLOW_ALL)
    wait_for("the third reaches one", lambda: reaches(pair.third, one, 2), 20)
    connection = OpenConnection(net, pair.third, one)
    try:
        assert connection.ask(5)
        start = pair.set_policy({"acls": [{"action": "accept", "src": ["*"], "dst": ["*:81"]}]})
        assert felt_after(start, pair.third, one, False) < SOON
        assert connection.ask(5)
        assert not reaches(pair.third, one, 1.0)
    finally:
        connection.close()
