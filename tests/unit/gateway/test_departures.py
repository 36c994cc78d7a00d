"""The reason that follows on the stream of a device that was logged out."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry
from smartscale.registry.v1 import registry_pb2 as pb

from gateway.clients.failure import ServiceError
from gateway.machine.departures import MAX_QUERIES, Departures
from gateway.machine.map_sessions import MapSessions
from gateway.machine.metrics import MachineMetrics
from gateway.machine.refusal import UNKNOWN_NODE
from gateway.machine.session import MapSessionRequest
from services.shared.background import Background
from services.shared.keys import MachineKey, NodeKey
from services.shared.telemetry import Telemetry
from tests.fakes.tunnel import FakeResponder, FakeTime
from tests.unit.gateway.test_map_sessions import Seen, Up


class World:
    """Map sessions whose clients have no node, and a registry that answers as told."""

    def __init__(self) -> None:
        self.time = FakeTime()
        metrics = MachineMetrics(CollectorRegistry())
        self.sessions = MapSessions(self.time, self.time.after, Seen(), metrics, contact="it@example.net")
        self.sessions.set_uplink(Up())
        self.answer: pb.GetDepartureResponse | ServiceError | None = None
        self.gate = asyncio.Event()
        self.asked = 0
        self.background = Background(Telemetry())
        self.departures = Departures(self.ask, self.sessions, self.background)

    async def ask(self, machine: MachineKey) -> pb.GetDepartureResponse | None:
        """The registry's answer, once the gate is open."""
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, ServiceError):
            raise self.answer
        return self.answer

    def dismiss(self, number: int) -> FakeResponder:
        """A client of a machine of its own that has no node."""
        responder = FakeResponder()
        keys = MachineKey(number.to_bytes(32, "big")), NodeKey(number.to_bytes(32, "big"))
        session = self.sessions.open(MapSessionRequest(*keys, 130, False, False), responder)
        self.sessions.refused(session.route, UNKNOWN_NODE, again=False)
        return responder

    async def settle(self) -> None:
        """Let every question be answered."""
        self.gate.set()
        async with asyncio.timeout(5):
            while len(self.background):  # noqa: ASYNC110  there is nothing to wait on
                await asyncio.sleep(0)


def sent(responder: FakeResponder) -> list[bytes]:
    """The map responses on the stream."""
    assert responder.writer is not None
    return [bytes(message) for message in responder.writer.messages]


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (pb.DEPARTURE_REASON_DELETED, b"An administrator deleted this device on 2026-03-01 at 12:00 UTC."),
        (pb.DEPARTURE_REASON_INACTIVE, b"because it was away for too long, on 2026-03-01 at 12:00 UTC."),
        (pb.DEPARTURE_REASON_LOGGED_OUT, b"because it logged out, on 2026-03-01 at 12:00 UTC."),
    ],
)
async def test_the_reason_follows_the_map_that_logs_out(reason: pb.DepartureReason.ValueType, text: bytes) -> None:
    world = World()
    world.answer = pb.GetDepartureResponse(reason=reason)
    world.answer.at.FromJsonString("2026-03-01T12:00:00Z")
    responder = world.dismiss(1)
    assert len(sent(responder)) == 1
    await world.settle()
    first, second = sent(responder)
    assert b"This server has no such device" in first
    assert text in second
    assert b"ask it@example.net." in second
    assert b"Node" not in second


@pytest.mark.parametrize("answer", [None, ServiceError("away"), pb.GetDepartureResponse()])
async def test_without_a_reason_the_general_one_stays(answer: pb.GetDepartureResponse | ServiceError | None) -> None:
    world = World()
    world.answer = answer
    responder = world.dismiss(1)
    await world.settle()
    assert len(sent(responder)) == 1


async def test_questions_are_bounded_and_a_stream_that_has_ended_is_left_alone() -> None:
    world = World()
    world.answer = pb.GetDepartureResponse(reason=pb.DEPARTURE_REASON_DELETED)
    responders = [world.dismiss(number) for number in range(1, MAX_QUERIES + 10)]
    world.sessions.stop()
    await world.settle()
    assert world.asked == MAX_QUERIES
    assert all(len(sent(responder)) == 1 for responder in responders)
    world.dismiss(1000)
    await world.settle()
    assert world.asked == MAX_QUERIES + 1
