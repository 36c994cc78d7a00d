"""The stack of docker-compose.yml, for real: built, started, joined by a published client, its processes killed."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import clients, engine, lab
from tests.e2e.clients import Caddy
from tests.e2e.waiting import wait_for

ROOT = Path(__file__).parents[2]
OURS = ("registry", "policy", "auth", "map-streamer", "derp", "gateway")


class Stack:
    """The stack as its operator sees it."""

    def __init__(self, running: engine.Engine, project: str, address: str) -> None:
        self._engine = running
        self._compose = ["docker-compose", "-p", project, "-f", str(ROOT / "docker-compose.yml")]
        running.environment |= {
            "SERVICES_TOKEN": secrets.token_hex(16),
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            "SERVER_URL": f"http://{address}:8080",
            "DERP_HOSTNAME": address,
            "DERP_IPV4": address,
            "GATEWAY_BIND": address,
            "DERP_BIND": address,
            "METRICS_BIND": address,
        }
        self.address = address

    def compose(self, *arguments: str, timeout: float = 600, check: bool = True) -> str:
        """docker compose, in this project."""
        return self._engine.run(*self._compose, *arguments, timeout=timeout, check=check)

    def cli(self, *arguments: str) -> str:
        """The command line inside the gateway's container."""
        return self.compose("exec", "-T", "gateway", "headscale", *arguments)

    def up(self) -> None:
        """Build, start, and wait until every health check passes."""
        self.compose("build", "registry")  # one image serves all of ours
        try:
            self.compose("up", "-d", "--wait", "--wait-timeout", "180")
        except AssertionError as failure:
            raise AssertionError(
                f"{failure}\n{self.compose('ps', '-a')}\n{self.compose('logs', '--tail', '60')}"
            ) from None


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Lab]:
    """Where the clients live."""
    if reason := lab.missing() or clients.missing() or engine.missing():
        pytest.skip(reason)
    made = lab.Lab(tmp_path_factory.mktemp("compose"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def stack(net: lab.Lab) -> Iterator[Stack]:
    """The stack, reached from the lab's clients by one link and from nowhere else."""
    running = engine.Engine()
    try:
        address = net.link_to_this_machine()
        made = Stack(running, f"ss{secrets.token_hex(3)}", address)
        try:
            made.up()
            yield made
        finally:
            made.compose("down", "-v", "--timeout", "20", check=False)
    finally:
        running.close()


def test_every_container_is_healthy_not_root_and_read_only(stack: Stack) -> None:
    for line in stack.compose("ps", "--format", "json").splitlines():
        for container in json.loads(line) if line.startswith("[") else [json.loads(line)]:
            assert container["State"] == "running"
            assert container["Health"] in ("healthy", "")
    for service in OURS:
        assert stack.compose("exec", "-T", service, "id", "-u").strip() == "10001"
        denied = stack.compose("exec", "-T", service, "sh", "-c", "touch /opt/x 2>&1 || echo refused")
        assert "refused" in denied


def test_published_clients_join_and_talk(stack: Stack, net: lab.Lab) -> None:
    stack.cli("users", "create", "alice")
    key = json.loads(stack.cli("preauthkeys", "create", "--user", "alice", "--reusable", "-o", "json"))["key"]
    made = []
    for name in ("first", "second"):
        made.append(Caddy(net, lab.SERVERS if name == "first" else "other", name, f"http://{stack.address}:8080", key))
    net.add_neighbour("other", "10.84.0")
    for client in made:
        client.start()
    for client in made:
        client.wait_running()
    wait_for(
        "the second fetches from the first", lambda: "hello from first" in made[1].fetch("http://first/", 5) or None, 60
    )
    wait_for(
        "the first fetches from the second",
        lambda: "hello from second" in made[0].fetch("http://second/", 5) or None,
        60,
    )
    for service in OURS:
        stack.compose("kill", "-s", "KILL", service)
        stack.compose("up", "-d", "--wait", "--wait-timeout", "120")
    wait_for(
        "and again after every part was killed",
        lambda: "hello from first" in made[1].fetch("http://first/", 5) or None,
        90,
    )
    nodes = json.loads(stack.cli("nodes", "list", "-o", "json", "--modern"))
    assert sorted(node["givenName"] for node in nodes) == ["first", "second"]


def test_the_collector_received_a_trace_that_crosses_processes(stack: Stack) -> None:
    def traced() -> bool | None:
        said = stack.compose("logs", "otel-collector")
        return True if "Trace" in said or ("trace" in said.lower() and "span" in said.lower()) else None

    wait_for("spans at the collector", traced, 60, 1)


def test_the_logs_hold_no_exception_and_no_secret(stack: Stack) -> None:
    said = stack.compose("logs", *OURS)
    assert "Traceback" not in said
    assert stack._engine.environment["SERVICES_TOKEN"] not in said
    assert stack._engine.environment["POSTGRES_PASSWORD"] not in said


def test_the_compose_file_is_valid_without_an_engine() -> None:
    done = subprocess.run(
        [
            str(Path(engine._PATH.split(":")[0]) / "docker-compose"),
            "-f",
            str(ROOT / "docker-compose.yml"),
            "config",
            "-q",
        ],
        env={"SERVICES_TOKEN": "x", "POSTGRES_PASSWORD": "y", "PATH": engine._PATH, "HOME": "/tmp"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
