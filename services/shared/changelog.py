"""Reads numbered change logs: batches on the bus, and `Follower`, which keeps a reader at the end of its logs.

The bus only wakes and carries. Every record has a number, so a reader sees a gap, fetches what is missing from the
service that owns the log, and takes a snapshot where the log does not reach back. Knows no kind of record.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc.aio
from google.protobuf.message import DecodeError
from smartscale.common.v1 import common_pb2

from services.shared.bus import Bus, Message, Reconnected
from services.shared.ids import TailnetId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

QUIET = 5.0
"""Seconds without a message of a log after which its owner is asked: the bus may have lost the last one.

Each log for itself: the registry's may never be quiet, and a change of policy must not wait for that."""
_FIRST_BACKOFF = 0.1
_LONGEST_BACKOFF = 5.0


def topic(tailnet: TailnetId, service: str) -> str:
    """Return the topic on which a service publishes the changes of a tailnet."""
    return f"smartscale.{tailnet}.{service}.changes"


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one log as the bus carried them; none when some may be missing."""

    topic: str
    records: Sequence[common_pb2.LogRecord] = ()
    traceparent: str = ""
    lossy: bool = False
    """True if messages may have been lost before this point: the reader must ask the owners of its logs."""


async def batches(messages: AsyncIterator[Message | Reconnected]) -> AsyncIterator[Batch]:
    """Yield what arrives on a subscription to change logs, decoded."""
    async for message in messages:
        yield _batch(message)


def _batch(message: Message | Reconnected) -> Batch:
    if isinstance(message, Reconnected):
        return Batch("", lossy=True)
    try:
        records = common_pb2.ChangeBatch.FromString(message.payload).records
    except DecodeError:
        log.warning("bus message cannot be read", topic=message.topic)
        return Batch(message.topic, lossy=True)
    return Batch(message.topic, records, message.traceparent)


class ChangesPage(Protocol):
    """Records after a position, as the owner of a log returns them."""

    @property
    def records(self) -> Sequence[common_pb2.LogRecord]:
        """In order, without a gap."""
        ...

    @property
    def reset(self) -> bool:
        """True if the log does not reach back to the position, so that a snapshot is needed."""
        ...

    @property
    def last(self) -> int:
        """The newest position in the log."""
        ...


class ChangeLog(Protocol):
    """One log, and how far its reader has come."""

    @property
    def service(self) -> str:
        """The service that owns the log."""
        ...

    @property
    def position(self) -> int:
        """Number of the last record that was applied or that a snapshot contained."""
        ...

    async def changes(self, after: int) -> ChangesPage:
        """Ask the owner for the records after a position.

        Raises:
            grpc.aio.AioRpcError: the owner could not be asked in time.
        """
        ...

    async def apply(self, records: Sequence[common_pb2.LogRecord], traceparent: str) -> None:
        """Apply records that continue the position, at least one, and move the position to the last of them."""
        ...

    async def start_over(self) -> None:
        """Replace everything by a snapshot, and move the position to it.

        Raises:
            grpc.aio.AioRpcError: the owner could not be asked in time.
        """
        ...


class Follower:
    """Follower of numbered logs: applies every record in order, and fetches those that the bus lost."""

    def __init__(
        self,
        bus: Bus,
        tailnet: TailnetId,
        logs: Sequence[ChangeLog],
        load: Callable[[], Awaitable[None]],
        *,
        quiet: float = QUIET,
        on_gap: Callable[[str], None] = lambda _service: None,
        expected: tuple[type[Exception], ...] = (),
    ) -> None:
        """`load` takes the first snapshot of all logs; `on_gap` is called with the service of a log that has a gap.

        Errors of the types `expected` delay the reader and are logged without a traceback.
        """
        self._bus = bus
        self._logs = {topic(tailnet, one.service): one for one in logs}
        self._load = load
        self._quiet = quiet
        self._on_gap = on_gap
        self._expected = expected
        self._lock = asyncio.Lock()
        self._fetches = 0

    async def run(self) -> None:
        """Subscribe, take the snapshot, apply what comes; start over after a failure. Ends only by cancellation."""
        backoff = _FIRST_BACKOFF
        while True:
            try:
                async with self._bus.subscribe(*self._logs) as messages:
                    async with self._lock:
                        await self._load()
                    backoff = _FIRST_BACKOFF
                    await self._follow(messages)
            except asyncio.CancelledError:
                raise
            except grpc.aio.AioRpcError as error:
                log.warning("change log not reachable, trying again", status=error.code().name)
            except self._expected as error:
                log.warning("change log cannot be applied, trying again", reason=str(error))
            except Exception:
                log.exception("following the change logs failed, starting over")
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)

    async def refresh(self, service: str) -> None:
        """Fetch what a log has beyond the position. Calls that come together share one fetch begun after them.

        Raises:
            grpc.aio.AioRpcError: the owner could not be asked in time.
        """
        arrived = self._fetches
        async with self._lock:
            if self._fetches > arrived:
                return
            self._fetches += 1
            for one in self._logs.values():
                if one.service == service:
                    await self._fetch(one)

    async def _follow(self, messages: AsyncIterator[Message | Reconnected]) -> None:
        now = asyncio.get_running_loop().time
        heard = dict.fromkeys(self._logs, now())
        try:
            while True:
                batch: Batch | None = None
                if (longest := min(heard.values()) + self._quiet - now()) > 0:
                    # A reader of the bus loses nothing when it is cancelled: it waits, and only then takes.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(longest):
                            batch = _batch(await anext(messages))
                if batch is None:
                    quiet = [name for name, at in heard.items() if now() - at >= self._quiet]
                    await self._catch_up(quiet)
                    heard.update(dict.fromkeys(quiet, now()))
                elif batch.lossy:
                    log.info("messages may be lost, asking the change logs", topic=batch.topic)
                    await self._catch_up([batch.topic] if batch.topic else self._logs)
                elif batch.topic in self._logs:
                    heard[batch.topic] = now()
                    await self._take(self._logs[batch.topic], batch)
        except StopAsyncIteration:
            log.info("bus subscription ended")

    async def _catch_up(self, topics: Sequence[str] | dict[str, ChangeLog]) -> None:
        async with self._lock:
            self._fetches += 1
            for name in topics:
                await self._fetch(self._logs[name])

    async def _take(self, one: ChangeLog, batch: Batch) -> None:
        if batch.records and batch.records[0].seq > one.position + 1:
            self._on_gap(one.service)
            async with self._lock:
                await self._fetch(one)
        await self._apply(one, batch.records, batch.traceparent)

    async def _apply(self, one: ChangeLog, records: Sequence[common_pb2.LogRecord], traceparent: str = "") -> None:
        """Apply the records that continue the position, up to a gap; those applied before are left out."""
        position = one.position
        following = []
        for record in records:
            if record.seq > position + 1:
                break
            if record.seq == position + 1:
                following.append(record)
                position += 1
        if following:
            await one.apply(following, traceparent)

    async def _fetch(self, one: ChangeLog) -> None:
        while True:
            after = one.position
            page = await one.changes(after)
            if page.reset:
                log.info("change log trimmed beyond this position, taking a snapshot", service=one.service)
                await one.start_over()
                return
            await self._apply(one, page.records)
            if not page.records or one.position >= page.last:
                return
            if one.position == after:
                log.error("change log answers with a gap, starting over", service=one.service, after=after)
                await one.start_over()
                return
