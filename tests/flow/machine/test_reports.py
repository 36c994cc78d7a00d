"""Reports of endpoints and hostinfo: stored once, in order, and not for streams that are gone."""

from __future__ import annotations

import grpc
import orjson
import pytest

from tests.fakes.tunnel import FakeResponder, tunnel_request
from tests.flow.machine.scripted import MACHINE, NODE, Gateway, admitted, report, until


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


async def test_a_report_like_the_last_one_behind_another_that_is_being_stored_is_stored_too(gateway: Gateway) -> None:
    await gateway.ask("/machine/map", report())
    gateway.registry.gate.clear()
    gateway.send("/machine/map", report(Endpoints=[]))
    last = gateway.send("/machine/map", report())
    gateway.registry.gate.set()
    await until(lambda: last.status == 200)
    assert [len(update.endpoints) for _, update in gateway.registry.updates] == [1, 0, 1]


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
