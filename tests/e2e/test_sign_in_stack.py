"""A sign-in whose steps land on different instances, while the bus is lost in the middle.

The tests build on each other, in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import clients, guide, lab, servers
from tests.e2e.alone import write_certificate
from tests.e2e.clients import Caddy
from tests.e2e.lab import PUBLIC_IP, SERVER_IP, SERVERS, Lab
from tests.e2e.person import Person
from tests.e2e.providers import Mock
from tests.e2e.servers import Stack
from tests.e2e.waiting import wait_for

URL = f"https://{SERVER_IP}:8080"
GATEWAYS = ("127.0.0.1:8081", "127.0.0.1:8082")
AUTHS = ("auth", "auth-2")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two gateways, each with an auth service of its own, and a provider."""
    if reason := lab.missing() or clients.missing() or servers.missing_for_stack() or Mock.missing():
        pytest.skip(reason)
    net = Lab(tmp_path_factory.mktemp("lab"))
    made = None
    try:
        certificate = write_certificate(net.folder, SERVER_IP, PUBLIC_IP)
        provider = Mock(net, net.folder, f"{URL}/oidc/callback")
        provider.wait()
        settings = {
            "server_url": URL,
            "tls_cert_path": str(certificate),
            "tls_key_path": str(net.folder / "server.key"),
            "oidc": provider.oidc,
        }
        made = Stack(net, settings, auths=2)
        yield made
        assert made.faults() == []
    finally:
        if made is not None:
            made.close()
        net.close()


def test_steps_land_on_different_instances_and_the_bus_is_lost_but_no_click(stack: Stack) -> None:
    net = stack.lab
    net.add_host("laptop")
    client = Caddy(net, "laptop", "laptop", URL)
    client.extra["SSL_CERT_FILE"] = str(net.folder / "server.pem")
    client.start()
    link = client.sign_in_url()
    wait_for("the client waits", lambda: "fup=true" in client.log() or None)
    waits = wait_for("it waits at one gateway", lambda: gateway_of_the_only_client(stack))
    other = 3 - waits

    person = Person(net, GATEWAYS)
    there = person.press(link, waits)
    stack.processes["redis"].kill()
    question = person.come_back(person.sign_in(there, "alice"), other)
    text = person.look(question, waits)
    person.confirm(question, text, other)
    assert "Your device is connected" in person.look(question, waits)
    stack.restart("redis")
    client.wait_running()

    first, second = AUTHS[waits - 1], AUTHS[other - 1]
    assert "sign-in started" in stack.processes[first].text()
    assert "sign-in started" not in stack.processes[second].text()
    for step in ("sign-in verified", "sign-in confirmed"):
        assert step in stack.processes[second].text() and step not in stack.processes[first].text()
    assert stack.nodes()["laptop"]["user"]["email"] == "alice@example.com"
    client.stop()


def test_the_guides_backup_of_postgresql_holds_the_tailnet(stack: Stack, tmp_path: Path) -> None:
    if reason := guide.missing():
        pytest.skip(reason)
    (line,) = [line for line in guide.commands() if line.startswith("pg_dump")]
    connection = "PGHOST=127.0.0.1 PGUSER=headscale PGPASSWORD=x "
    stack.lab.exec(SERVERS, "sh", "-c", connection + guide.filled_in(line, {"/backup": str(tmp_path)}))
    assert "alice@example.com" in (tmp_path / "headscale.sql").read_text()


def gateway_of_the_only_client(stack: Stack) -> int | None:
    """The number of the gateway at which a client's only connection is, or None while it has several."""
    connections = stack.lab.exec(SERVERS, "ss", "-Htn", "state", "established", "sport = :8080").split()[3::4]
    if len(connections) != 1:
        return None
    address, _, port = connections[0].rpartition(":")
    lines = [line.split() for line in stack.processes["balancer"].text().splitlines()]
    (backend,) = [to for host, source, to in lines if (host, source) == (address, port)]
    return GATEWAYS.index(f"127.0.0.1:{backend}") + 1
