"""NodeQueries about SSH sessions at the gateway: what is held, let go, refused and handed on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from gateway.clients.failure import Overloaded, Unavailable, UnknownNode
from gateway.clients.ssh import (
    SessionRule,
    SshAccepted,
    SshRefused,
    SshSession,
    SshStillWaiting,
    SshVerdict,
    SshWaiting,
)
from gateway.machine.in_flight import InFlight
from gateway.machine.metrics import MachineMetrics
from gateway.machine.pace import Pace
from gateway.machine.ssh import MAX_WAITING_PER_MACHINE, NO_SESSION, Ssh
from services.shared.keys import MachineKey
from tests.fakes.tunnel import FakeResponder, tunnel_request

MACHINE = MachineKey(b"\1" * 32)
PATH = "/machine/ssh/action/1/to/2"
AUTH_ID = "hskey-authreq-0123456789abcdef01234567"
RULE = SessionRule(3600, False, b'{"accept":true}')


@dataclass
class Services:
    """A map streamer and auth that say what a test wants."""

    rules: list[SessionRule | Exception] = field(default_factory=lambda: [RULE])
    verdict: SshVerdict | Exception = field(default_factory=SshAccepted)
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[Any] = field(default_factory=list)
    held: int = 0

    async def rule(self, machine: MachineKey, session: SshSession) -> SessionRule:
        """The next of the rules; the last one stays."""
        self.asked.append((machine, session))
        return _said(self.rules.pop(0) if len(self.rules) > 1 else self.rules[0])

    async def check(self, machine: MachineKey, session: SshSession, rule: SessionRule) -> SshVerdict:
        """At once."""
        return _said(self.verdict)

    async def wait(
        self, machine: MachineKey, session: SshSession, rule: SessionRule, auth_id: str, deadline: float
    ) -> SshVerdict:
        """Once it is decided."""
        self.held += 1
        try:
            await self.decided.wait()
        finally:
            self.held -= 1
        return _said(self.verdict)


def _said(what: Any) -> Any:
    if isinstance(what, Exception):
        raise what
    return what


class Gate:
    """The handler between fakes."""

    def __init__(self) -> None:
        self.services, self.work = Services(), InFlight(8192, MAX_WAITING_PER_MACHINE)
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        pace = Pace(0, 0, MachineMetrics(CollectorRegistry()))
        client: Any = self.services
        self.ssh = Ssh(client, self.work, pace, provider.get_tracer("test"), "https://hs.example.net/", 600.0)

    def send(self, query: str = "local_user=root", machine: MachineKey = MACHINE) -> FakeResponder:
        """A question as the edge hands it over."""
        responder = FakeResponder()
        self.ssh.handle(replace(tunnel_request(PATH, b"", machine, "GET"), query=query), responder)
        return responder

    async def ask(self, query: str = "local_user=root") -> FakeResponder:
        """The same, answered."""
        responder = self.send(query)
        await until(lambda: responder.status is not None)
        return responder


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  the conditions are of parts that know no events
            await asyncio.sleep(0)


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    made = Gate()
    yield made
    await made.work.stop()


async def test_a_session_that_waits_is_sent_where_it_can_be_awaited(gate: Gate) -> None:
    gate.services.verdict = SshWaiting(AUTH_ID, f"https://hs.example.net/auth/{AUTH_ID}")
    answer = orjson.loads((await gate.ask("local_user=CORP%5Cann+x&period=1")).body)
    assert f"visit: https://hs.example.net/auth/{AUTH_ID}\n" in answer["message"]
    assert answer["holdAndDelegate"] == (f"https://hs.example.net{PATH}?local_user=CORP%5Cann%20x&auth_id={AUTH_ID}")
    assert gate.services.asked == [(MACHINE, SshSession(1, 2, "CORP\\ann x"))]
    gate.services.decided.set()
    await gate.ask(answer["holdAndDelegate"].partition("?")[2])
    assert gate.services.asked[-1] == gate.services.asked[0]


async def test_what_a_session_may_do_is_what_the_rule_says_after_the_wait(gate: Gate) -> None:
    gate.services.rules = [RULE, replace(RULE, action=b'{"accept":true,"recorders":["100.64.0.9:80"]}')]
    gate.services.decided.set()
    answer = await gate.ask(f"local_user=root&auth_id={AUTH_ID}")
    assert orjson.loads(answer.body)["recorders"] == ["100.64.0.9:80"]


async def test_a_wait_that_grows_long_is_asked_for_again_without_a_word(gate: Gate) -> None:
    gate.services.verdict = SshStillWaiting()
    gate.services.decided.set()
    answer = await gate.ask(f"local_user=root&auth_id={AUTH_ID}")
    assert orjson.loads(answer.body) == {
        "holdAndDelegate": f"https://hs.example.net{PATH}?local_user=root&auth_id={AUTH_ID}"
    }


async def test_a_refusal_is_shown_and_one_without_a_rule_says_always_the_same(gate: Gate) -> None:
    gate.services.verdict = SshRefused("not today")
    assert orjson.loads((await gate.ask()).body) == {"reject": True, "message": "# not today\n"}
    gate.services.rules = [UnknownNode("no rule of the policy checks such a session")]
    assert orjson.loads((await gate.ask()).body) == {"reject": True, "message": f"# {NO_SESSION}\n"}


@pytest.mark.parametrize("error", [Unavailable("auth is away"), Overloaded("too many requests wait")])
async def test_a_service_that_is_away_lets_the_client_come_back(gate: Gate, error: Exception) -> None:
    gate.services.verdict = error
    answer = await gate.ask()
    assert answer.status == 503 and answer.headers["retry-after"] == "1"


async def test_the_sessions_of_one_machine_that_wait_are_bounded_and_those_of_others_are_not(gate: Gate) -> None:
    query = f"local_user=root&auth_id={AUTH_ID}"
    held = [gate.send(query) for _ in range(MAX_WAITING_PER_MACHINE)]
    await until(lambda: gate.services.held == MAX_WAITING_PER_MACHINE)
    assert gate.send(query).status == 503
    other = gate.send(query, MachineKey(b"\2" * 32))
    await until(lambda: gate.services.held == MAX_WAITING_PER_MACHINE + 1)
    gate.services.decided.set()
    await until(lambda: all(responder.status == 200 for responder in (*held, other)))


async def test_a_client_that_goes_lets_go_of_what_waits_for_it(gate: Gate) -> None:
    responder = gate.send(f"local_user=root&auth_id={AUTH_ID}")
    await until(lambda: gate.services.held == 1)
    responder.reset()
    await until(lambda: gate.services.held == 0)
    await until(lambda: len(gate.work) == 0)


async def test_the_span_of_a_question_names_no_auth_id(gate: Gate) -> None:
    gate.services.decided.set()
    await gate.ask(f"local_user=root&auth_id={AUTH_ID}")
    (span,) = gate.spans.get_finished_spans()
    assert span.name == "GET /machine/ssh/action" and AUTH_ID not in span.to_json()
