"""Map sessions: opened, superseded, refused, sent changes, ended."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as streamer_pb2

from tests.flow.machine.scripted import CURSOR, NODE, Gateway, report, until


@pytest.mark.statement(64)
async def test_a_stream_stores_nothing_of_what_it_says_of_the_node(gateway: Gateway) -> None:
    await gateway.stream()
    assert gateway.registry.updates == []


@pytest.mark.parametrize(
    ("system", "awake"), [("linux", True), ("windows", True), ("macOS", True), ("iOS", False), ("android", False)]
)
async def test_an_idle_client_is_probed_unless_its_system_may_sleep(gateway: Gateway, system: str, awake: bool) -> None:
    writer, _ = await gateway.stream(Hostinfo={"OS": system})
    assert writer.awake is awake


@pytest.mark.statement(31, 67)
async def test_a_newer_stream_supersedes_and_the_registry_hears_both(gateway: Gateway) -> None:
    old, first = await gateway.stream()
    # A session that ends before it was reported need not be reported at all.
    await gateway.registry.reports.until(lambda report: any(s.session_id == first for s in report.opened))
    new, second = await gateway.stream(after=first)
    assert old.ended and not new.ended
    said = await gateway.registry.reports.until(lambda report: any(s.session_id == second for s in report.opened))
    assert said.gateway_id == "gw"
    await gateway.registry.reports.until(lambda report: any(s.session_id == first for s in report.closed))


@pytest.mark.statement(38, 69)
@pytest.mark.parametrize(
    ("reason", "status"),
    [("REFUSAL_REASON_UNKNOWN_NODE", 200), ("REFUSAL_REASON_WRONG_MACHINE", 403), ("REFUSAL_REASON_OVERLOADED", 503)],
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
    assert again.session_id == number and again.cursor == later
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
