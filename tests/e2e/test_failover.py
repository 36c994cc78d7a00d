"""Published clients whose link is cut or whose process is stopped: what the others see, and after how long.

Times are printed, so that a run with `-s` shows them; the bounds are those of docs/operating.md.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.clients import Caddy
from tests.e2e.inside import netmap
from tests.e2e.lab import Lab
from tests.e2e.servers import Server
from tests.e2e.waiting import wait_for

ROUTE = "10.99.0.0/24"
CUT = "table ip cut { chain forwarding { type filter hook forward priority -10; policy drop; }; }\n"
OFFLINE_WITHIN = 30.0
FAILOVER_WITHIN = 10.0
LEARNING = 50.0
"""Seconds until a gateway has seen two keep-alive probes of a client's kernel."""


@dataclass
class Tailnet:
    """Two routers of one route, a node that sees it, and a node that is only there."""

    a: Caddy
    b: Caddy
    viewer: Caddy
    idle: Caddy
    viewer_id: int


@pytest.fixture(scope="module")
def tailnet(server: Server, net: Lab) -> Iterator[Tailnet]:
    """All four online, both routers approved."""
    key = server.auth_key("alice", "--reusable")
    made = {}
    for name in ("a", "b", "viewer", "idle"):
        net.add_host(name)
        made[name] = Caddy(net, name, name, server.url, key)
        made[name].start()
        made[name].wait_running()
    for name in ("a", "b"):
        page = f"http://{server.nodes()[name]['ipAddresses'][0]}:5252"
        made["viewer"].web(f"{page}/api/auth/session/new")
        made["viewer"].web(f"{page}/api/routes", {"SetRoutes": True, "AdvertiseRoutes": [ROUTE]})
        node_id = server.nodes()[name]["id"]
        wait_for(
            f"{name} advertises", lambda name=name: ROUTE in server.nodes()[name].get("availableRoutes", []) or None
        )
        server.cli("nodes", "approve-routes", "--identifier", str(node_id), "--routes", ROUTE)
    began = time.monotonic()
    viewer_id = int(server.nodes()["viewer"]["id"])
    wait_for("a serves the route", lambda: router(server, viewer_id) == "a" or None)
    wait_for("clients are known to the gateway", lambda: time.monotonic() - began > LEARNING or None, LEARNING + 5, 0.5)
    yield Tailnet(**made, viewer_id=viewer_id)


def router(server: Server, viewer_id: int) -> str:
    """The router of the route in the netmap that the viewer holds."""
    held = netmap(server, viewer_id)
    serving = [peer["Name"].partition(".")[0] for peer in held["Peers"] if ROUTE in (peer.get("PrimaryRoutes") or ())]
    return serving[0] if len(serving) == 1 else ""


def is_online(server: Server, name: str) -> bool:
    return bool(server.nodes()[name].get("online"))


def seconds_until(what: str, condition: Callable[[], bool], deadline: float) -> float:
    """Wait for a condition and say how long it took."""
    began = time.monotonic()
    wait_for(what, lambda: condition() or None, deadline)
    took = time.monotonic() - began
    print(f"{what}: {took:.1f} s")
    return took


class Trouble:
    """Something that befalls a client, and its end."""

    def __init__(self, net: Lab, client: Caddy, kind: str) -> None:
        self._net, self._client, self._kind = net, client, kind

    def __enter__(self) -> None:
        if self._kind == "cut":
            self._net.exec(f"{self._client.host}-nat", "nft", "-f", "-", stdin=CUT)
        else:
            self._signal(signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        if self._kind == "cut":
            self._net.exec(f"{self._client.host}-nat", "nft", "delete", "table", "ip", "cut")
        else:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._client.process is not None
        os.kill(self._client.process.pid, number)


@pytest.mark.parametrize("kind", ["cut", "stopped"])
def test_a_client_that_is_gone_is_shown_offline_and_comes_back(
    kind: str, tailnet: Tailnet, server: Server, net: Lab
) -> None:
    wait_for("it is online", lambda: is_online(server, "idle") or None, 60)
    with Trouble(net, tailnet.idle, kind):
        took = seconds_until(f"idle client {kind}: offline", lambda: not is_online(server, "idle"), 180)
    assert took <= OFFLINE_WITHIN
    seconds_until(f"idle client {kind}: back", lambda: is_online(server, "idle"), 90)
    assert is_online(server, "viewer")


@pytest.mark.parametrize("kind", ["cut", "stopped"])
def test_another_router_takes_over(kind: str, tailnet: Tailnet, server: Server, net: Lab) -> None:
    wait_for("both are online", lambda: (is_online(server, "a") and is_online(server, "b")) or None, 90)
    first = wait_for("one serves the route", lambda: router(server, tailnet.viewer_id), 30)
    other = "b" if first == "a" else "a"
    with Trouble(net, getattr(tailnet, first), kind):
        took = seconds_until(f"router {kind}: the other serves", lambda: router(server, tailnet.viewer_id) == other, 90)
    assert took <= FAILOVER_WITHIN


def test_a_router_that_returns_serves_again_only_when_it_is_preferred(
    tailnet: Tailnet, server: Server, net: Lab
) -> None:
    wait_for("both are online", lambda: (is_online(server, "a") and is_online(server, "b")) or None, 90)
    first = wait_for("one serves the route", lambda: router(server, tailnet.viewer_id), 30)
    other = "b" if first == "a" else "a"
    with Trouble(net, getattr(tailnet, first), "cut"):
        seconds_until("the other serves", lambda: router(server, tailnet.viewer_id) == other, 90)
    seconds_until("the first is back", lambda: is_online(server, first), 90)
    assert router(server, tailnet.viewer_id) == other
    server.cli("routes", "prefer", "-i", first, "-p", ROUTE)
    took = seconds_until("preferred: the first serves", lambda: router(server, tailnet.viewer_id) == first, 30)
    server.cli("routes", "unprefer", "-i", first)
    assert took <= 4.0
    assert router(server, tailnet.viewer_id) == first


def test_a_router_that_ends_visibly_is_replaced_at_once(tailnet: Tailnet, server: Server) -> None:
    wait_for("both are online", lambda: (is_online(server, "a") and is_online(server, "b")) or None, 90)
    first = wait_for("one serves the route", lambda: router(server, tailnet.viewer_id), 30)
    other = "b" if first == "a" else "a"
    client: Caddy = getattr(tailnet, first)
    assert client.process is not None
    client.process.kill()
    took = seconds_until("router killed: the other serves", lambda: router(server, tailnet.viewer_id) == other, 30)
    client.start()
    assert took <= 4.0  # 3 s, and what the questions of this test take


def test_a_device_that_is_deleted_logs_out(tailnet: Tailnet, server: Server) -> None:
    wait_for("it is online", lambda: is_online(server, "idle") or None, 60)
    before = tailnet.idle.log().count("-> NeedsLogin")
    server.cli("nodes", "delete", "-i", str(server.nodes()["idle"]["id"]), "--force")
    took = seconds_until("deleted: logged out", lambda: tailnet.idle.log().count("-> NeedsLogin") > before, 60)
    assert took <= 30
