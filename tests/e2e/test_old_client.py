"""The oldest supported release of the official client: the relay without its pin, and what the person there is told."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e import lab, tailscaled
from tests.e2e.clients import missing
from tests.e2e.servers import Embedded
from tests.e2e.tailscaled import Tailscaled
from tests.e2e.waiting import wait_for

RELEASE = "v1.80.3"
MESSAGES = {"messages": {"contact": "it@example.net", "oldest_clients": {"linux": "1.82"}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """A server in one process, whose relay has a self-signed certificate."""
    if reason := lab.missing() or missing() or tailscaled.missing():
        pytest.skip(reason)
    net = lab.Lab(tmp_path_factory.mktemp("lab"))
    made = Embedded(net, MESSAGES)
    try:
        yield made
        assert made.faults() == []
    finally:
        made.close()
        net.close()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Daemon and command line of the release."""
    return tailscaled.build(RELEASE, tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def pair(server: Embedded, programs: Path) -> tuple[Tailscaled, Tailscaled]:
    """Two devices of one user."""
    made = []
    key = server.auth_key("alice", "--reusable")
    for name in ("ann", "ben"):
        server.lab.add_host(name, "udpblocked")
        device = Tailscaled(server.lab, name, name, server.url, key)
        device.programs = programs
        device.start()
        assert device.up(f"--hostname={name}")[0] == 0
        made.append(device)
    return made[0], made[1]


def test_two_old_clients_reach_each_other_over_the_relay_without_its_pin(
    pair: tuple[Tailscaled, Tailscaled], server: Embedded
) -> None:
    ann, ben = pair
    address = server.nodes()["ben"]["ipAddresses"][0]
    ann.command("ping", "--c=1", "--timeout=20s", address, timeout=40)
    wait_for("a ping over the relay", lambda: "via DERP(lab)" in ann.command("ping", "--c=1", address)[1] or None, 60)
    assert "without checking their certificate" in server.processes["all"].text()
    assert ben.status()["BackendState"] == "Running"


def test_a_client_below_the_list_is_asked_to_update(pair: tuple[Tailscaled, Tailscaled]) -> None:
    wait_for("the request", lambda: "1.82 or newer is required here" in pair[0].health() or None, 30)


def test_a_key_that_expires_soon_is_reminded_of_until_it_is_renewed(
    pair: tuple[Tailscaled, Tailscaled], server: Embedded
) -> None:
    node = str(server.nodes()["ann"]["id"])
    soon = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    server.cli("nodes", "expire", "-i", node, "--expiry", soon)
    wait_for("the reminder", lambda: "Key expires soon" in pair[0].health() or None, 30)
    assert "tailscale up --force-reauth" in pair[0].health()
    server.cli("nodes", "expire", "-i", node, "--disable")
    wait_for("no reminder", lambda: "Key expires soon" not in pair[0].health() or None, 30)


def test_a_suspended_user_is_told_whom_to_ask(pair: tuple[Tailscaled, Tailscaled], server: Embedded) -> None:
    server.cli("users", "suspend", "alice")
    wait_for("the reason", lambda: "is suspended" in pair[0].health() or None, 30)
    assert "Ask it@example.net." in pair[0].health()
    server.cli("users", "restore", "alice")
    wait_for("no reason", lambda: "is suspended" not in pair[0].health() or None, 30)
    wait_for("it runs again", lambda: pair[0].status()["BackendState"] == "Running" or None, 30)


def test_a_deleted_device_is_told_so_and_gets_its_address_back(
    pair: tuple[Tailscaled, Tailscaled], server: Embedded
) -> None:
    ann = pair[0]
    before = server.nodes()["ann"]["ipAddresses"]
    server.cli("nodes", "delete", "-i", str(server.nodes()["ann"]["id"]), "--force")
    wait_for("the reason", lambda: "An administrator deleted this device on" in ann.health() or None, 30)
    assert ann.up("--hostname=ann")[0] == 0
    wait_for("it runs again", lambda: ann.status()["BackendState"] == "Running" or None, 30)
    assert server.nodes()["ann"]["ipAddresses"] == before
    wait_for("no reason", lambda: "deleted this device" not in ann.health() or None, 30)


def test_a_key_gives_its_device_the_address_that_was_chosen(server: Embedded, programs: Path) -> None:
    user = next(str(user["id"]) for user in server.json("users", "list") if user["name"] == "alice")
    key = server.cli("preauthkeys", "create", "--user", user, "--ip", "100.64.77.7").strip()
    server.lab.add_host("eve")
    device = Tailscaled(server.lab, "eve", "eve", server.url, key)
    device.programs = programs
    device.start()
    assert device.up("--hostname=eve")[0] == 0
    assert server.nodes()["eve"]["ipAddresses"][0] == "100.64.77.7"
    with pytest.raises((RuntimeError, AssertionError, subprocess.CalledProcessError)):
        server.cli("preauthkeys", "create", "--user", user, "--ip", "100.64.77.7")
