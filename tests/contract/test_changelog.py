"""A follower of a change log ends where its owner is, whatever the bus loses, repeats or garbles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from smartscale.common.v1 import common_pb2
from smartscale.policy.v1 import policy_pb2

from services.shared.bus import MemoryBus
from services.shared.changelog import Follower, topic
from services.shared.ids import DEFAULT_TAILNET

TOPIC = topic(DEFAULT_TAILNET, "policy")


class AwayError(Exception):
    """What a reader raises while it cannot apply."""


def record(seq: int) -> common_pb2.LogRecord:
    return common_pb2.LogRecord(seq=seq, payload=b"%d" % seq)


@dataclass
class Log:
    """An owner's log from `first` on, and a reader that notes what it applied."""

    first: int = 1
    last: int = 0
    position: int = 0
    failures: int = 0
    applied: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    service = "policy"

    async def changes(self, after: int) -> policy_pb2.GetChangesResponse:
        self.asked.append(after)
        if after > self.last or (after < self.last and after + 1 < self.first):
            return policy_pb2.GetChangesResponse(reset=True, last=self.last)
        records = [record(seq) for seq in range(after + 1, self.last + 1)][:3]
        return policy_pb2.GetChangesResponse(records=records, last=self.last)

    async def apply(self, records: Sequence[common_pb2.LogRecord], traceparent: str) -> None:
        if self.failures:
            self.failures -= 1
            raise AwayError
        self.applied += [one.seq for one in records]
        self.position = records[-1].seq
        self.moved.set()

    async def start_over(self) -> None:
        self.applied.append(-self.last)
        self.position = self.last
        self.moved.set()


@asynccontextmanager
async def following(log: Log, quiet: float = 60.0) -> AsyncIterator[MemoryBus]:
    bus = MemoryBus()
    follower = Follower(bus, DEFAULT_TAILNET, (log,), log.start_over, quiet=quiet, expected=(AwayError,))
    task = asyncio.create_task(follower.run())
    async with asyncio.timeout(5):
        await log.moved.wait()
        yield bus
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def publish(bus: MemoryBus, *seqs: int) -> None:
    batch = common_pb2.ChangeBatch(records=[record(seq) for seq in seqs])
    await bus.publish(TOPIC, batch.SerializeToString())


async def reaches(log: Log, position: int) -> None:
    while log.position != position:
        log.moved.clear()
        await log.moved.wait()


async def test_records_that_follow_are_applied_once_and_nobody_is_asked() -> None:
    log = Log(last=2)
    async with following(log) as bus:
        await publish(bus, 3, 4)
        await publish(bus, 3, 4, 5)
        await reaches(log, 5)
    assert (log.applied, log.asked) == ([-2, 3, 4, 5], [])


async def test_a_gap_is_fetched_page_by_page() -> None:
    log = Log(last=2)
    async with following(log) as bus:
        log.last = 9
        await publish(bus, 9)
        await reaches(log, 9)
    assert (log.applied, log.asked) == ([-2, 3, 4, 5, 6, 7, 8, 9], [2, 5, 8])


@pytest.mark.parametrize(("first", "last"), [(8, 12), (1, 1)])
async def test_a_log_that_does_not_reach_back_or_lies_behind_is_replaced_by_a_snapshot(first: int, last: int) -> None:
    log = Log(last=4)
    async with following(log) as bus:
        log.first, log.last = first, last
        await publish(bus, 12)
        await reaches(log, last)
    assert log.applied == [-4, -last]


async def test_a_message_that_cannot_be_read_and_a_long_silence_make_it_ask() -> None:
    log = Log(last=1)
    async with following(log, quiet=0.05) as bus:
        log.last = 2
        await bus.publish(TOPIC, b"\xff\xff")
        await reaches(log, 2)
        log.last = 3
        await reaches(log, 3)
    assert log.applied == [-1, 2, 3]


async def test_a_reader_that_cannot_apply_starts_over(caplog: pytest.LogCaptureFixture) -> None:
    log = Log(last=1, failures=1)
    async with following(log) as bus:
        log.last = 2
        await publish(bus, 2)
        await reaches(log, 2)
    assert log.applied == [-1, -2]
    assert not [one for one in caplog.records if one.exc_info]
