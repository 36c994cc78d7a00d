"""Requests inside the tunnel, from the router to services and back; only sockets and services are faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from smartscale.auth.v1 import auth_pb2
from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as streamer_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.clients.auth import AuthClient
from gateway.clients.map_streamer import MapStreamerClient
from gateway.clients.registry import RegistryClient
from gateway.machine.attachment import Attachment
from gateway.machine.c2n import Questions
from gateway.machine.map import Map
from gateway.machine.map_sessions import MapSessions
from gateway.machine.metrics import MachineMetrics
from gateway.machine.presence import Presence, PresenceReport
from gateway.machine.register import Register
from gateway.machine.reports import LastReports
from gateway.machine.router import Router
from gateway.machine.work import Work
from services.shared.clock import SystemClock
from services.shared.keys import DiscoKey, MachineKey, NodeKey
from services.shared.rpc import LocalChannel
from tests.fakes.services import DEADLINE, ScriptedAuth, ScriptedRegistry, ScriptedStreamer, serve
from tests.fakes.tunnel import FakeResponder, FakeWriter, tunnel_request

MACHINE = MachineKey(b"\1" * 32)
NODE = NodeKey(b"\2" * 32)
CURSOR = common_pb2.Cursor(registry=5, policy=1)


class Gateway:
    """All of gateway.machine between fakes."""

    def __init__(self, login_wait: float = 5.0) -> None:
        self.auth, self.registry, self.streamer = ScriptedAuth(), ScriptedRegistry(), ScriptedStreamer()
        self.channel = LocalChannel(serve(self.auth, self.registry, self.streamer))
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        tracer = provider.get_tracer("test")
        metrics, reports, self.work = MachineMetrics(CollectorRegistry()), LastReports(), Work()
        self.registry_client = RegistryClient(self.channel, "gw")
        self.presence = Presence(self._report, window=0.001)
        self.sessions = MapSessions(
            SystemClock(),
            asyncio.get_running_loop().call_later,
            self.presence,
            metrics,
            on_removed=lambda ask: reports.forget(ask.machine_key, ask.node_key),
        )
        self.attachment = Attachment("gw", [MapStreamerClient(self.channel, "fake")], self.sessions, metrics)
        self.questions = Questions(self.sessions)
        register = Register(AuthClient(self.channel), reports, self.work, metrics, tracer, login_wait)
        map_ = Map(self.registry_client, self.sessions, reports, self.work, metrics, tracer)
        self.router = Router(register, map_, self.questions)

    async def _report(self, report: PresenceReport) -> bool:
        return await self.registry_client.report_sessions(
            report.opened, report.closed, complete=report.complete, stopping=report.stopping
        )

    def send(self, path: str, body: Any, *, machine: MachineKey = MACHINE, **extra: Any) -> FakeResponder:
        """A request as the edge hands it over; what is not bytes becomes JSON."""
        responder = FakeResponder()
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        self.router.handle(tunnel_request(path, raw, machine, **extra), responder)
        return responder

    async def ask(self, path: str, body: Any, **extra: Any) -> FakeResponder:
        """The same, answered."""
        responder = self.send(path, body, **extra)
        await until(lambda: responder.status is not None)
        return responder

    async def register(self, **fields: Any) -> FakeResponder:
        """A register request."""
        return await self.ask("/machine/register", {"Version": 113, "NodeKey": str(NODE), **fields})

    async def stream(self, *, zstd: bool = False, node_id: int = 7, after: int = 0) -> tuple[FakeWriter, int]:
        """An open map session with its full map, and its number."""
        body = {"Version": 113, "NodeKey": str(NODE), "Stream": True, "Compress": "zstd" if zstd else ""}
        responder = self.send("/machine/map", body)
        opened = await self.streamer.opened(after)
        self.streamer.accept(opened.session_id, node_id)
        full = streamer_pb2.Full(
            session_id=opened.session_id, parts=[streamer_pb2.Part(data=b'{"Node":{}}')], cursor=CURSOR
        )
        self.streamer.say(full=full)
        await until(lambda: responder.writer is not None and responder.writer.messages)
        assert responder.writer is not None
        return responder.writer, opened.session_id


async def until(condition: Any) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  the conditions are of parts that know no events
            await asyncio.sleep(0.001)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway()
    made.presence.start()
    made.attachment.start()
    yield made
    made.sessions.stop()
    await made.work.stop()
    await made.presence.stop()
    await made.attachment.stop()


def admitted(**user: Any) -> auth_pb2.RegisterResponse:
    """A node was let in."""
    node = registry_pb2.Node(id=7)
    owner = registry_pb2.User(id=3, name="ann", **user)
    return auth_pb2.RegisterResponse(admitted=auth_pb2.Admitted(node=node, user=owner))


# Register


@pytest.mark.statement(41, 44, 48)
async def test_success_names_the_user_and_has_every_member(gateway: Gateway) -> None:
    gateway.auth.answer = admitted(email="ann@example.com", display_name="Ann", provider="oidc")
    answer = await gateway.register(Auth={"AuthKey": "hskey-auth-x"})
    assert answer.status == 200
    assert orjson.loads(answer.body) == {
        "User": {"ID": 3, "DisplayName": "Ann"},
        "Login": {"ID": 3, "Provider": "oidc", "LoginName": "ann@example.com", "DisplayName": "Ann"},
        "NodeKeyExpired": False,
        "MachineAuthorized": True,
        "AuthURL": "",
        "NodeKeySignature": None,
        "Error": "",
    }
    machine, request = gateway.auth.ear.heard[0]
    assert machine == MACHINE and request.auth_key == "hskey-auth-x" and request.remote_address == "192.0.2.1"


async def test_a_tagged_node_belongs_to_the_user_of_all_tagged_devices(gateway: Gateway) -> None:
    node = registry_pb2.Node(id=7, tags=["tag:web"])
    gateway.auth.answer = auth_pb2.RegisterResponse(admitted=auth_pb2.Admitted(node=node))
    body = orjson.loads((await gateway.register()).body)
    assert body["User"]["ID"] == 2147455555 and body["Login"]["LoginName"] == "tagged-devices"


@pytest.mark.statement(42)
async def test_an_interactive_login_gets_its_address_and_is_not_authorised(gateway: Gateway) -> None:
    url = "https://hs.example.net/register/hskey-authreq-1"
    gateway.auth.answer = auth_pb2.RegisterResponse(login_needed=auth_pb2.LoginNeeded(auth_id="1", auth_url=url))
    body = orjson.loads((await gateway.register()).body)
    assert (body["AuthURL"], body["MachineAuthorized"], body["Error"]) == (url, False, "")


@pytest.mark.statement(45, 61)
async def test_a_refusal_is_text_for_the_person(gateway: Gateway) -> None:
    gateway.auth.answer = auth_pb2.RegisterResponse(refused="auth key expired")
    answer = await gateway.register()
    assert answer.status == 200 and orjson.loads(answer.body)["Error"] == "auth key expired"


@pytest.mark.statement(50)
async def test_an_expired_node_key_is_said_without_an_address(gateway: Gateway) -> None:
    gateway.auth.answer = auth_pb2.RegisterResponse(node_key_expired=True)
    body = orjson.loads((await gateway.register()).body)
    assert (body["NodeKeyExpired"], body["AuthURL"]) == (True, "")


@pytest.mark.statement(54, 55, 57)
@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ("1970-01-01T02:02:03+02:00", datetime(1970, 1, 1, 0, 2, 3, tzinfo=UTC)),
        ("2027-01-02T03:04:05.123456789Z", datetime(2027, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
    ],
)
async def test_a_wished_end_reaches_auth_as_the_moment_it_is(gateway: Gateway, sent: str, wanted: datetime) -> None:
    gateway.auth.answer = auth_pb2.RegisterResponse(logged_out=True)
    answer = await gateway.register(Expiry=sent)
    assert answer.status == 200
    assert gateway.auth.ear.heard[0][1].expiry.ToDatetime(tzinfo=UTC) == wanted


@pytest.mark.statement(55)
async def test_the_zero_time_is_no_wish(gateway: Gateway) -> None:
    await gateway.register(Expiry="0001-01-01T00:00:00Z")
    assert not gateway.auth.ear.heard[0][1].HasField("expiry")


@pytest.mark.statement(61)
async def test_too_many_attempts_are_429_for_clients_that_wait_and_text_for_those_that_do_not(gateway: Gateway) -> None:
    gateway.auth.answer = auth_pb2.RegisterResponse(retry_after=30)
    new = await gateway.register(Version=137)
    old = await gateway.register(Version=136)
    assert (new.status, new.headers) == (429, {"retry-after": "30"})
    assert old.status == 200 and "30 s" in orjson.loads(old.body)["Error"]


@pytest.mark.statement(43)
async def test_a_followup_is_held_until_somebody_decides(gateway: Gateway) -> None:
    gateway.auth.answer = admitted()
    body = {"Version": 113, "NodeKey": str(NODE), "Followup": "https://hs.example.net/register/x"}
    responder = gateway.send("/machine/register", body)
    _, request = await gateway.auth.ear.until(lambda heard: isinstance(heard, tuple))
    assert request.followup == "https://hs.example.net/register/x" and responder.status is None
    gateway.auth.decide.set()
    await until(lambda: responder.status == 200)
    assert orjson.loads(responder.body)["MachineAuthorized"] is True


@pytest.mark.statement(43)
async def test_a_followup_whose_client_goes_is_let_go_at_auth(gateway: Gateway) -> None:
    responder = gateway.send(
        "/machine/register", {"Version": 113, "NodeKey": str(NODE), "Followup": "https://x/register/y"}
    )
    await gateway.auth.ear.until(lambda heard: isinstance(heard, tuple))
    responder.reset()
    await gateway.auth.ear.until(lambda heard: heard == "let go")
    assert gateway.auth.held == 0 and responder.status is None


async def test_a_followup_that_nobody_decides_sends_the_client_around_again() -> None:
    gateway = Gateway(login_wait=0.01)
    answer = await gateway.register(Followup="https://x/register/y")
    assert orjson.loads(answer.body)["AuthURL"] == "https://x/register/y"


@pytest.mark.statement(38, 39)
async def test_a_node_key_of_another_machine_is_forbidden(gateway: Gateway) -> None:
    gateway.auth.fail = (grpc.StatusCode.PERMISSION_DENIED, "another machine")
    assert (await gateway.register()).status == 403


async def test_a_client_that_is_too_old_is_told_so(gateway: Gateway) -> None:
    for path in ("/machine/register", "/machine/map"):
        answer = await gateway.ask(path, {"Version": 112, "NodeKey": str(NODE)})
        assert answer.status == 400 and b"too old" in answer.body
    assert gateway.auth.ear.heard == []


@pytest.mark.statement(62)
async def test_one_machine_cannot_occupy_more_than_its_share(gateway: Gateway) -> None:
    body = {"Version": 113, "NodeKey": str(NODE), "Followup": "https://x/register/y"}
    responders = [gateway.send("/machine/register", body) for _ in range(40)]
    refused = [responder for responder in responders if responder.status == 503]
    assert len(refused) == 24
    other = gateway.send("/machine/register", body, machine=MachineKey(b"\5" * 32))
    assert other.status is None


HOSTILE = [
    b"",
    b"\xff\xfe",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b'{"Version":113}',
    b'{"Version":113,"NodeKey":"nodekey:00"}',
    b'{"Version":113,"NodeKey":"mkey:' + b"11" * 32 + b'"}',
    b'{"Version":113,"NodeKey":"nodekey:' + b"00" * 32 + b'"}',
    b'{"Version":"113","NodeKey":"nodekey:' + b"11" * 32 + b'"}',
    b'{"Version":1e99,"NodeKey":"nodekey:' + b"11" * 32 + b'"}',
    b'{"Version":-1,"NodeKey":"nodekey:' + b"11" * 32 + b'"}',
    b'{"Version":113,"NodeKey":"nodekey:' + b"11" * 32 + b'","Hostinfo":[]}',
    b'{"Version":113,"NodeKey":"nodekey:' + b"11" * 32 + b'","Hostinfo":{"RoutableIPs":["nonsense"]}}',
    b'{"Version":113,"NodeKey":"nodekey:' + b"11" * 32 + b'","Hostinfo":{"OS":7}}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
]


@pytest.mark.parametrize("path", ["/machine/register", "/machine/map"])
@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_is_no_request_is_refused_at_once_and_reaches_no_service(
    gateway: Gateway, path: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    responder = gateway.send(path, body)
    assert responder.status == 400 and len(responder.body) <= 200
    assert gateway.auth.ear.heard == [] and gateway.registry.updates == []
    assert not [record for record in caplog.records if record.exc_info]


async def test_odd_names_are_cleaned_and_not_refused(gateway: Gateway) -> None:
    gateway.auth.answer = admitted()
    answer = await gateway.register(Hostinfo={"Hostname": "a\x00b\x1b[31m" + "x" * (1 << 20), "OS": "linux"})
    assert answer.status == 200
    kept = orjson.loads(gateway.auth.ear.heard[0][1].hostinfo)
    assert kept["Hostname"].isprintable() and len(kept["Hostname"]) <= 255


# Reports


def report(**fields: Any) -> dict[str, Any]:
    """A lite map request as tailscale-rs spells it."""
    return {
        "Version": 113,
        "NodeKey": str(NODE),
        "DiscoKey": str(DiscoKey(b"\3" * 32)),
        "OmitPeers": True,
        "HostInfo": {"Hostname": "web1", "NetInfo": {"PreferredDERP": 900}},
        "Endpoints": ["192.0.2.7:41641"],
        "EndpointTypes": [2],
        **fields,
    }


@pytest.mark.statement(63, 65)
async def test_a_report_is_stored_and_answered_with_nothing(gateway: Gateway) -> None:
    answer = await gateway.ask("/machine/map", report())
    assert (answer.status, answer.body) == (200, b"")
    machine, stored = gateway.registry.updates[0]
    assert machine == MACHINE and stored.node_key == NODE.raw and stored.disco_key == b"\3" * 32
    assert (list(stored.endpoints), list(stored.endpoint_types)) == (["192.0.2.7:41641"], [2])
    assert orjson.loads(stored.hostinfo)["Hostname"] == "web1"


async def test_a_repeated_report_costs_no_call(gateway: Gateway) -> None:
    for _ in range(3):
        assert (await gateway.ask("/machine/map", report())).status == 200
    assert len(gateway.registry.updates) == 1
    await gateway.ask("/machine/map", report(Endpoints=[]))
    await gateway.ask("/machine/map", report())
    await gateway.ask("/machine/map", report(), connection_id=2)
    assert len(gateway.registry.updates) == 4


async def test_registering_anew_makes_the_next_report_count(gateway: Gateway) -> None:
    gateway.auth.answer = admitted()
    await gateway.ask("/machine/map", report())
    await gateway.register()
    await gateway.ask("/machine/map", report())
    assert len(gateway.registry.updates) == 2


@pytest.mark.statement(90)
async def test_reports_rise_in_order_and_one_whose_stream_was_reset_is_never_sent(gateway: Gateway) -> None:
    gone = FakeResponder()
    gone.closed = True
    gateway.router.handle(tunnel_request("/machine/map", orjson.dumps(report(Endpoints=[])), MACHINE), gone)
    await gateway.ask("/machine/map", report())
    await gateway.ask("/machine/map", report(Endpoints=[]))
    orders = [request.order for _, request in gateway.registry.updates]
    assert len(orders) == 2 and orders == sorted(set(orders))
    assert {request.gateway_id for _, request in gateway.registry.updates} == {"gw"}


@pytest.mark.statement(90)
async def test_a_reset_while_the_registry_works_cancels_the_report(gateway: Gateway) -> None:
    gateway.registry.gate.clear()
    responder = gateway.send("/machine/map", report())
    await gateway.registry.ear.until(lambda _heard: True)
    responder.reset()
    await until(lambda: not len(gateway.work))
    gateway.registry.gate.set()
    await gateway.ask("/machine/map", report())
    assert len(gateway.registry.updates) == 1


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (grpc.StatusCode.NOT_FOUND, 404),
        (grpc.StatusCode.PERMISSION_DENIED, 403),
        (grpc.StatusCode.INVALID_ARGUMENT, 400),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 503),
        (grpc.StatusCode.INTERNAL, 503),
    ],
)
@pytest.mark.statement(38, 69)
async def test_a_report_that_cannot_be_stored_says_why(gateway: Gateway, code: grpc.StatusCode, status: int) -> None:
    gateway.registry.fail = (code, "because")
    assert (await gateway.ask("/machine/map", report())).status == status
    gateway.registry.fail = None
    assert (await gateway.ask("/machine/map", report())).status == 200


async def test_one_trace_leads_from_the_request_to_the_registry(gateway: Gateway) -> None:
    await gateway.ask("/machine/map", report())
    assert [span.name for span in gateway.spans.get_finished_spans()] == ["POST /machine/map"]


# Map sessions


@pytest.mark.statement(64)
async def test_a_stream_stores_nothing_of_what_it_says_of_the_node(gateway: Gateway) -> None:
    await gateway.stream()
    assert gateway.registry.updates == []


@pytest.mark.statement(31, 67)
async def test_a_newer_stream_supersedes_and_the_registry_hears_both(gateway: Gateway) -> None:
    old, first = await gateway.stream()
    # One that is over before it was reported need not be told at all.
    await gateway.registry.reports.until(lambda report: any(s.session_id == first for s in report.opened))
    new, second = await gateway.stream(after=first)
    assert old.ended and not new.ended
    said = await gateway.registry.reports.until(lambda report: any(s.session_id == second for s in report.opened))
    assert said.gateway_id == "gw"
    await gateway.registry.reports.until(lambda report: any(s.session_id == first for s in report.closed))


@pytest.mark.statement(38, 69)
@pytest.mark.parametrize(
    ("reason", "status"),
    [("REFUSAL_REASON_UNKNOWN_NODE", 404), ("REFUSAL_REASON_WRONG_MACHINE", 403), ("REFUSAL_REASON_OVERLOADED", 503)],
)
async def test_a_refused_stream_gets_its_status_and_never_hangs(gateway: Gateway, reason: Any, status: int) -> None:
    responder = gateway.send("/machine/map", {"Version": 113, "NodeKey": str(NODE), "Stream": True})
    opened = await gateway.streamer.opened()
    gateway.streamer.say(refused=streamer_pb2.SessionRefused(session_id=opened.session_id, reason=reason))
    await until(lambda: responder.status is not None)
    assert responder.status == status


@pytest.mark.statement(66)
async def test_one_map_and_the_end(gateway: Gateway) -> None:
    responder = gateway.send("/machine/map", {"Version": 113, "NodeKey": str(NODE)})
    opened = await gateway.streamer.opened()
    assert opened.once and not opened.zstd
    gateway.streamer.accept(opened.session_id)
    parts = [streamer_pb2.Part(data=b'{"Node":{}}')]
    gateway.streamer.say(full=streamer_pb2.Full(session_id=opened.session_id, parts=parts, cursor=CURSOR))
    gateway.streamer.say(
        ended=streamer_pb2.SessionEnded(session_id=opened.session_id, reason=streamer_pb2.END_REASON_DONE)
    )
    await until(lambda: responder.writer is not None and responder.writer.ended)
    assert responder.writer is not None and responder.writer.messages == [b'\x0b\0\0\0{"Node":{}}']


@pytest.mark.statement(70)
async def test_compression_is_asked_for_as_the_client_did(gateway: Gateway) -> None:
    await gateway.stream(zstd=True)
    assert (await gateway.streamer.opened()).zstd


async def test_a_delta_goes_to_each_session_it_names_and_moves_what_they_hold(gateway: Gateway) -> None:
    writer, number = await gateway.stream()
    later = common_pb2.Cursor(registry=9, policy=2)
    gateway.streamer.say(delta=streamer_pb2.Delta(session_ids=[number, 999], data=b'{"x":1}', cursor=later))
    await until(lambda: len(writer.messages) == 2)
    assert writer.messages[1] == b'\x07\0\0\0{"x":1}'
    gateway.streamer.ear.heard.clear()
    gateway.streamer.hang_up()
    again = await gateway.streamer.opened()
    assert again.session_id == number and again.held == later
    gateway.streamer.accept(number)
    gateway.streamer.say(delta=streamer_pb2.Delta(session_ids=[number], data=b"{}", cursor=later))
    await until(lambda: len(writer.messages) == 3)
    assert not writer.closed and gateway.streamer.attachments == 2


async def test_a_deleted_node_ends_and_its_report_counts_anew(gateway: Gateway) -> None:
    await gateway.ask("/machine/map", report())
    writer, number = await gateway.stream()
    reason = streamer_pb2.END_REASON_NODE_REMOVED
    gateway.streamer.say(ended=streamer_pb2.SessionEnded(session_id=number, reason=reason))
    await until(lambda: writer.ended)
    gateway.registry.fail = (grpc.StatusCode.NOT_FOUND, "no node")
    assert (await gateway.ask("/machine/map", report())).status == 404


# The rest


@pytest.mark.statement(37)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/machine/nothing", 404),
        ("POST", "/", 404),
        ("GET", "/machine/register", 405),
        ("POST", "/machine/set-dns", 501),
        ("POST", "/machine/feature/query", 501),
        ("POST", "/machine/id-token", 501),
        ("PATCH", "/machine/set-device-attr", 501),
        ("GET", "/machine/tka/bootstrap", 501),
        ("POST", "/machine/webclient/init/1/to/2", 501),
        ("POST", "/c2n/unknown", 404),
    ],
)
async def test_what_is_not_offered_is_answered_at_once(gateway: Gateway, method: str, path: str, status: int) -> None:
    responder = gateway.send(path, b"{}", method=method)
    assert responder.status == status and len(responder.body) < 200


@pytest.mark.parametrize("path", ["/machine/update-health", "/machine/audit-log"])
async def test_what_clients_tell_us_of_themselves_is_taken(gateway: Gateway, path: str) -> None:
    assert gateway.send(path, {"Subsys": "dns", "Error": "x", "Action": "DISCONNECT_NODE"}).status == 200
    assert gateway.send(path, b"\xff").status == 400


@pytest.mark.statement(32)
async def test_a_get_may_have_a_body(gateway: Gateway) -> None:
    responder = gateway.send("/machine/whoami", b"{}", method="GET")
    assert orjson.loads(responder.body)["MachineKey"] == str(MACHINE)
