"""Four published clients in one tailnet of ours: they join, see each other and exchange HTTP, in every kind of network.

The tests share one tailnet of five clients that are online; each adds what else it needs, and may run alone.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest

from tests.e2e.clients import Arkitekt, Baseshift, Caddy, Mihomo
from tests.e2e.inside import netmap, ping
from tests.e2e.lab import Lab
from tests.e2e.servers import Server
from tests.e2e.waiting import wait_for

FIVE = {"one", "two", "new", "old", "rust"}


@dataclass
class Tailnet:
    """The nodes that all tests of this module use."""

    one: Caddy
    two: Caddy
    new: Mihomo
    old: Baseshift
    rust: Arkitekt


@pytest.fixture(scope="module")
def tailnet(server: Server, net: Lab) -> Tailnet:
    """Five nodes: two of tsnet 1.90.9, one each of 1.102.3 and 1.86.0, and the client in Rust."""
    key = server.auth_key("alice", "--reusable")
    for host in ("one", "two", "new", "old", "rust"):
        net.add_host(host)
    made = Tailnet(
        Caddy(net, "one", "one", server.url, key),
        Caddy(net, "two", "two", server.url, key),
        Mihomo(net, "new", "new", server.url, key),
        Baseshift(net, "old", "old", server.url, key),
        Arkitekt(net, "rust", "rust", server.url, key),
    )
    made.one.start()
    made.one.wait_running()
    Baseshift.target = server.nodes()["one"]["ipAddresses"][0]
    for client in (made.two, made.new, made.old, made.rust):
        client.start()
    made.two.wait_running()
    for client in (made.new, made.old, made.rust):  # some join when they are first used
        answers(client, f"http://{Baseshift.target}/", "hello from one")
    wait_for("all five are online", lambda: set(online(server)) == FIVE or None, 60)
    return made


def online(server: Server) -> dict[str, Any]:
    """The nodes that are online, by name."""
    return {name: node for name, node in server.nodes().items() if node.get("online")}


def answers(client: Caddy | Mihomo | Baseshift | Arkitekt, url: str, expected: str, deadline: float = 40.0) -> None:
    """Wait until a fetch over the tailnet gives the expected page."""
    wait_for(f"{client.name} fetches {url}", lambda: expected in client.fetch(url, 5) or None, deadline)


def test_each_client_fetches_from_the_others_by_address_and_by_name(tailnet: Tailnet, server: Server) -> None:
    address = {name: node["ipAddresses"][0] for name, node in server.nodes().items()}
    for client in (tailnet.two, tailnet.new, tailnet.old, tailnet.rust):
        answers(client, f"http://{address['one']}/", "hello from one")
    for client in (tailnet.one, tailnet.new, tailnet.rust):
        answers(client, f"http://{address['two']}/", "hello from two")
    answers(tailnet.one, "http://two/", "hello from two")
    answers(tailnet.two, "http://one.tail.test/", "hello from one")
    answers(tailnet.new, "http://two.tail.test/", "hello from two")
    answers(tailnet.rust, "http://one.tail.test/", "hello from one")


def test_every_client_is_a_node_with_two_addresses_and_online(tailnet: Tailnet, server: Server) -> None:
    nodes = online(server)
    assert set(nodes) >= FIVE
    for node in nodes.values():
        assert re.match(r"100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.", node["ipAddresses"][0])
        assert node["ipAddresses"][1].startswith("fd7a:115c:a1e0:")
    assert len({address for node in nodes.values() for address in node["ipAddresses"]}) == 2 * len(nodes)


@pytest.mark.parametrize("viewer", ["one", "two"])  # the builds of the other clients leave this question out
def test_the_netmap_that_a_client_holds_is_ours(viewer: str, tailnet: Tailnet, server: Server) -> None:
    def same() -> bool:
        nodes = server.nodes()
        own = netmap(server, int(nodes[viewer]["id"]))
        return {
            str(peer["ID"]): (peer["Name"], peer["Key"], sorted(a.partition("/")[0] for a in peer["Addresses"]))
            for peer in own["Peers"]
        } == {
            str(node["id"]): (f"{name}.tail.test.", node["nodeKey"], sorted(node["ipAddresses"]))
            for name, node in nodes.items()
            if name != viewer
        }

    wait_for(f"{viewer}'s own netmap equals ours", same, 20)


def test_behind_easy_nat_the_path_is_direct(tailnet: Tailnet, server: Server) -> None:
    nodes = server.nodes()
    wait_for(
        "a direct path",
        lambda: ping(server, int(nodes["one"]["id"]), nodes["two"]["ipAddresses"][0]).get("Endpoint") or None,
        30,
    )


@pytest.mark.parametrize("nat", ["hard", "udpblocked"])
def test_where_no_hole_can_be_made_the_relay_carries(nat: str, tailnet: Tailnet, server: Server, net: Lab) -> None:
    for name in ("nat1", "nat2"):
        net.add_host(f"{nat}-{name}", nat)  # type: ignore[arg-type]
    key = server.auth_key("alice", "--reusable")
    pair = [Caddy(net, f"{nat}-{name}", f"{nat}-{name}", server.url, key) for name in ("nat1", "nat2")]
    try:
        for client in pair:
            client.start()
        for client in pair:
            client.wait_running()
        answers(pair[0], f"http://{nat}-nat2/", f"hello from {nat}-nat2")
        answers(pair[1], f"http://{nat}-nat1/", f"hello from {nat}-nat1")
        nodes = server.nodes()
        pong = wait_for(
            "an answer to a ping through the relay",
            lambda: ping(server, int(nodes[f"{nat}-nat1"]["id"]), nodes[f"{nat}-nat2"]["ipAddresses"][0]) or None,
            20,
        )
        assert pong.get("DERPRegionID") == 900 and not pong.get("Endpoint")
    finally:
        for client in pair:
            client.stop()
            server.cli("nodes", "delete", "-i", str(server.nodes()[client.name]["id"]), "--force")


def test_a_person_approves_an_interactive_login(tailnet: Tailnet, server: Server, net: Lab) -> None:
    net.add_host("person")
    client = Caddy(net, "person", "person", server.url)
    client.start()
    try:
        url = client.sign_in_url()
        page = net.exec(client.host, "curl", "-sS", "-m", "5", url)
        assert "person" in page
        printed = re.search("<pre>(.*?)</pre>", page)
        assert printed is not None and url.rsplit("/", 1)[1] in printed[1]
        pasted = unescape(printed[1]).replace("USERNAME", "alice")
        subprocess.run(["/bin/sh", "-c", pasted], cwd="/", env={"PATH": os.defpath}, check=True, timeout=60)
        client.wait_running()
        answers(client, "http://one/", "hello from one")
        before = server.nodes()["person"]
        client.stop()
        client.start()
        answers(client, "http://one/", "hello from one")
        after = server.nodes()["person"]
        assert (before["id"], before["ipAddresses"], before["nodeKey"]) == (
            after["id"], after["ipAddresses"], after["nodeKey"],
        )  # fmt: skip
        assert "go to:" not in client.log().rsplit("Starting", 1)[-1]
    finally:
        client.stop()
        server.cli("nodes", "delete", "-i", str(server.nodes()["person"]["id"]), "--force")


def test_a_deleted_node_disappears_from_the_others_within_a_second(tailnet: Tailnet, server: Server, net: Lab) -> None:
    net.add_host("leaving")
    client = Caddy(net, "leaving", "leaving", server.url, server.auth_key("alice"))
    client.start()
    client.wait_running()
    client.stop()
    nodes = server.nodes()
    gone = int(nodes["leaving"]["id"])
    viewer = int(nodes["one"]["id"])
    wait_for("the peer is there", lambda: any(p["ID"] == gone for p in netmap(server, viewer)["Peers"]) or None, 10)
    server.cli("nodes", "delete", "-i", str(gone), "--force")
    wait_for(
        "the peer is gone",
        lambda: all(p["ID"] != gone for p in netmap(server, viewer)["Peers"] or []) or None,
        1.0,
    )


def test_a_client_that_logs_out_must_sign_in_again(tailnet: Tailnet, server: Server, net: Lab) -> None:
    net.add_host("leaver")
    client = Caddy(net, "leaver", "leaver", server.url, server.auth_key("alice"), ephemeral=True)
    client.start()
    client.wait_running()
    wait_for("it is a node", lambda: "leaver" in server.nodes() or None)
    client.stop()  # an ephemeral tsnet node logs out when it is asked to end
    wait_for("the node is deleted", lambda: "leaver" not in server.nodes() or None, 20)


def test_a_person_logs_out_and_the_node_is_no_longer_let_in(tailnet: Tailnet, server: Server, net: Lab) -> None:
    net.add_host("quitter")
    client = Caddy(net, "quitter", "quitter", server.url, server.auth_key("alice"))
    client.start()
    client.wait_running()
    answers(tailnet.one, "http://quitter/", "hello from quitter")
    page = f"http://{server.nodes()['quitter']['ipAddresses'][0]}:5252"
    tailnet.one.web(f"{page}/api/auth/session/new")
    tailnet.one.web(f"{page}/api/local/v0/logout", {})
    expiry = wait_for("the server hears of it", lambda: server.nodes()["quitter"].get("expiry"), 20)
    assert datetime.fromisoformat(expiry) <= datetime.now(UTC)
    wait_for("it is offline", lambda: not server.nodes()["quitter"]["online"] or None, 30)
    client.stop()
    server.cli("nodes", "delete", "-i", "quitter", "--force")


def test_clients_come_back_on_saved_state_without_their_key(tailnet: Tailnet, server: Server) -> None:
    before = server.nodes()
    for client in (tailnet.two, tailnet.new):
        client.stop()
        client.auth_key = ""
        client.start()
    answers(tailnet.new, "http://one.tail.test/", "hello from one")
    answers(tailnet.one, "http://two/", "hello from two")
    after = server.nodes()
    assert {n: (v["id"], v["ipAddresses"]) for n, v in before.items()} == {
        n: (v["id"], v["ipAddresses"]) for n, v in after.items()
    }


def test_any_process_may_be_killed_and_the_clients_come_back(tailnet: Tailnet, server: Server) -> None:
    before = {name: (node["id"], node["ipAddresses"]) for name, node in server.nodes().items() if name in FIVE}
    for name in [name for name in server.processes if name != "balancer"]:
        server.processes[name].kill()
        server.restart(name)
        server.wait_healthy()
        wait_for(f"administration answers after the loss of {name}", server.administrable)
        answers(tailnet.one, "http://two/", "hello from two", 60)
        answers(tailnet.new, "http://one.tail.test/", "hello from one", 60)
        wait_for(
            f"after the loss of {name} all are online",
            lambda: all(n["online"] for k, n in server.nodes().items() if k in ("one", "two", "new")) or None,
            60,
        )
        assert {n: (v["id"], v["ipAddresses"]) for n, v in server.nodes().items() if n in FIVE} == before
    key = server.auth_key("alice")
    assert key.startswith("hskey-auth-")
