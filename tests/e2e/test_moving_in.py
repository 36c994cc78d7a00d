"""Real clients of an old Headscale start on the state that they have, against what was imported from it.

They are online with the same addresses and names, without a login and without a new key.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import clients, lab
from tests.e2e.clients import Caddy, Client, Mihomo
from tests.e2e.installed import Imported, kept_clients
from tests.e2e.lab import SERVERS
from tests.e2e.waiting import STARTUP, wait_for
from tests.flow.moving.installations import read

RELEASES = ("0.22.3", "0.26.1", "0.29.2", "head")


@dataclass
class Moved:
    """A release's server, moved, and its clients."""

    release: str
    server: Imported
    clients: list[Client]
    truth: dict[str, dict[str, Any]]


@pytest.fixture(scope="module", params=RELEASES)
def moved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """Import, start the server, start the clients on copies of their states."""
    if reason := lab.missing() or clients.missing():
        pytest.skip(reason)
    release: str = request.param
    net = lab.Lab(tmp_path_factory.mktemp("lab"))
    server: Imported | None = None
    made: list[Client] = []
    try:
        server = Imported(net, release)
        server.move()
        truth = read(release, "expected.json")
        made = kept_clients(net, release, server.url)
        yield Moved(release, server, made, {node["client"]: node for node in truth["nodes"]})
        assert server.faults() == []
    finally:
        for client in made:
            client.stop()
        if server is not None:
            server.close()
        net.close()


def test_every_client_is_online_again_as_the_node_that_it_was(moved: Moved) -> None:
    before = moved.server.nodes()
    for client in moved.clients:
        client.start()

    def online(client: Client) -> bool:
        if isinstance(client, Mihomo):
            client.fetch("http://100.64.0.1/", timeout=5)  # it joins when somebody wants to go through it, and gives up
        return bool(moved.server.nodes()[moved.truth[client.name]["given_name"]]["online"])

    for client in moved.clients:
        wait_for(f"{client.name} is online", lambda client=client: online(client), STARTUP)
    after = moved.server.nodes()
    assert after.keys() == before.keys()
    for client in moved.clients:
        truth = moved.truth[client.name]
        node = after[truth["given_name"]]
        assert int(node["id"]) == truth["id"]
        assert sorted(node["ipAddresses"]) == sorted((truth["ipv4"], truth["ipv6"]))
        assert node["nodeKey"] == truth["node_key"] and node["machineKey"] == truth["machine_key"]
        assert "AuthURL is http" not in client.log() and "go to:" not in client.log()


def test_they_reach_each_other_by_the_names_that_they_had(moved: Moved) -> None:
    moved.server.allow_all()
    mihomo = next(client for client in moved.clients if isinstance(client, Mihomo))
    address = moved.truth["cad-alice"]["ipv4"]
    wait_for("a page over the tailnet", lambda: "hello from cad-alice" in mihomo.fetch(f"http://{address}/"), 60)


def test_old_keys_for_the_interface_work(moved: Moved) -> None:
    for key in read(moved.release, "expected.json")["apikeys"]:
        if key["key"].startswith("hskey-client-"):
            continue
        assert _status(moved.server, key["key"]) == (200 if key["label"] == "live" else 401), key["label"]


def test_a_new_client_joins_by_an_old_reusable_key(moved: Moved) -> None:
    keys = {key["label"]: key["key"] for key in read(moved.release, "expected.json")["preauthkeys"]}
    net = moved.server.lab
    net.add_host("newcomer")
    client = Caddy(net, "newcomer", "newcomer", moved.server.url, keys["alice-reusable"])
    moved.clients.append(client)
    client.start()
    wait_for("the new client is there", lambda: moved.server.nodes().get("newcomer", {}).get("online"), 60)
    assert int(moved.server.nodes()["newcomer"]["id"]) == max(node["id"] for node in moved.truth.values()) + 1


def _status(server: Imported, key: str) -> int:
    run = [
        "ip", "netns", "exec", server.lab.namespace(SERVERS), "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
        "-H", f"Authorization: Bearer {key}", f"{server.url}/api/v1/user",
    ]  # fmt: skip
    return int(subprocess.run(run, capture_output=True, text=True, check=False).stdout or 0)
