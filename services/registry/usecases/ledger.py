"""The state of one tailnet in this process, folded from its change log, and the only path for reads and writes.

One task serves a queue. It takes all that waits, so writes that arrive together share one transaction (group commit).
A write runs under the tailnet's lock on a state that was first brought to the newest position; a read first compares
the position. So replicas see each other's commits at once, and a caller is answered only after commit and publication.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from opentelemetry import trace

from services.registry.model.errors import RegistryError, UnavailableError
from services.registry.model.fact import Fact
from services.registry.model.state import State
from services.registry.model.term import ElectionReason
from services.registry.store import FactCodec, Log, Record, Store, StoreUnavailableError
from services.registry.usecases.draft import Draft
from services.shared.background import Background
from services.shared.runtime.clock import Clock
from services.shared.telemetry import Telemetry, get_logger

log = get_logger(__name__)

T = TypeVar("T")
Write = Callable[[Draft], Awaitable[T]]
Publish = Callable[[Sequence[Record]], Awaitable[None]]

CAPACITY = 16384
"""Maximum number of queued calls; a further one is refused as unavailable, and its caller retries."""
MAX_BATCH = 512
_PAGE = 1000
_STOP_WAIT = 10.0
"""Seconds that a stop waits for the transaction in hand."""
_WINDOW = 0.002
"""Seconds to gather more writes into a transaction, only under load."""


@dataclass(eq=False, slots=True)
class _Call(Generic[T]):
    future: asyncio.Future[T]
    write: Write[T] | None = None
    read: Callable[[State], T] | None = None
    context: contextvars.Context = field(default_factory=contextvars.copy_context)


_Stored = tuple[list[tuple[_Call[Any], Any]], list[Record], list[Callable[[], None]]]
"""Writes with their results, the records that they wrote, and what to call once these are committed."""


class LedgerObserver:
    """Observer of every transaction; this one ignores them."""

    def committed(self, state: State, writes: int, facts: int, seconds: float) -> None:
        """Record a transaction: the state after it, how many writes shared it and how many facts they recorded."""

    def elected(self, reason: ElectionReason, routes: int) -> None:
        """A node became the primary router of this number of routes."""


class Ledger:
    """Reads and writes of one tailnet."""

    def __init__(
        self,
        store: Store,
        codec: FactCodec,
        publish: Publish,
        clock: Clock,
        observer: LedgerObserver | None = None,
        tracer: trace.Tracer | None = None,
        background: Background | None = None,
    ) -> None:
        self._store = store
        self._codec = codec
        self._publish = publish
        self._clock = clock
        self._observer = observer or LedgerObserver()
        self._tracer = tracer
        self._state: State | None = None
        self._waiting: deque[_Call[Any]] = deque()
        self._wake = asyncio.Event()
        self._background = background or Background(Telemetry())
        self._serving: asyncio.Task[None] | None = None
        self._running = False
        self._busy = False
        self.consequences: Sequence[Callable[[Draft], None]] = ()
        """Run after each write, in this order and in its transaction, to add the facts that follow from it."""
        self.commits = 0
        """Transactions that wrote something, for metrics and tests."""

    async def start(self) -> None:
        """Load the state and begin to serve.

        Raises:
            StoreUnavailableError: the database cannot be read.
        """
        self._state = await self._store.load()
        self._running = True
        self._serving = self._background.keep(self._serve, "registry ledger")

    async def stop(self) -> None:
        """Finish the transaction in hand, refuse what waits, and end."""
        if self._serving is None:
            return
        self._running = False
        self._wake.set()
        _, late = await asyncio.wait([self._serving], timeout=_STOP_WAIT)
        self._serving = None
        if late:
            await self._background.stop()
            self._refuse_waiting()

    @property
    def waiting(self) -> int:
        """Number of queued calls."""
        return len(self._waiting)

    @property
    def cached_state(self) -> State:
        """The state as this process knows it, possibly behind other replicas: for hints, never for answers."""
        if self._state is None:
            raise UnavailableError("the registry has not started")
        return self._state

    def now(self) -> datetime:
        """Return the time of the ledger's clock."""
        return self._clock.now()

    async def read(self, read: Callable[[State], T]) -> T:
        """Evaluate `read` on the newest state, which it must not keep.

        Raises:
            UnavailableError: too many calls wait, or the database cannot be read.
        """
        return await self._enter(_Call(self._future(), read=read))

    async def commit(self, write: Write[T]) -> T:
        """Run `write` under the tailnet's lock; return its result after its facts are committed and published.

        Raises:
            RegistryError: what the write refused; then nothing of it is stored.
            UnavailableError: too many calls wait, or the database failed.
        """
        return await self._enter(_Call(self._future(), write=write))

    def _future(self) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    async def _enter(self, call: _Call[T]) -> T:
        if not self._running:
            raise UnavailableError("the registry is not running")
        if len(self._waiting) >= CAPACITY:
            raise UnavailableError("too many calls wait for the registry")
        self._waiting.append(call)
        self._wake.set()
        return await call.future

    async def _serve(self) -> None:
        while self._running:
            if not self._waiting:  # a task that was restarted after a failure finds calls here
                self._wake.clear()
                await self._wake.wait()
            while self._waiting and self._running:
                if self._busy and len(self._waiting) < MAX_BATCH:
                    await asyncio.sleep(_WINDOW)
                await self._round()
        self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        while self._waiting:
            _fail(self._waiting.popleft(), UnavailableError("the registry stops"))

    async def _round(self) -> None:
        calls = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
        calls = [call for call in calls if not call.future.done()]
        writes = [call for call in calls if call.write is not None]
        reads = [call for call in calls if call.read is not None]
        self._busy = len(writes) > 1
        try:
            if writes:
                await self._commit(writes)
            elif reads:
                await self._catch_up(self._store)
            for call in reads:
                self._answer(call)
        except Exception as error:
            self._state_unsure(error)
            refusal = error if isinstance(error, RegistryError) else UnavailableError("the registry failed")
            for call in calls:
                _fail(call, refusal)

    def _answer(self, call: _Call[Any]) -> None:
        assert call.read is not None
        try:
            result = call.read(self.cached_state)
        except RegistryError as error:
            _fail(call, error)
        except Exception:
            # A read changes nothing, so its fault is its caller's alone: the other calls of the round go on.
            log.exception("registry read failed")
            _fail(call, UnavailableError("the registry failed"))
        else:
            if not call.future.done():
                call.future.set_result(result)

    async def _commit(self, calls: list[_Call[Any]]) -> None:
        try:
            await self._transact(calls)
        except Exception as error:
            if len(calls) == 1:
                raise
            # One write may have spoiled it for the others: each gets a transaction of its own.
            self._state_unsure(error)
            for call in calls:
                try:
                    await self._transact([call])
                except Exception as failure:
                    self._state_unsure(failure)
                    refusal = failure if isinstance(failure, RegistryError) else UnavailableError("the registry failed")
                    _fail(call, refusal)

    async def _transact(self, calls: list[_Call[Any]]) -> None:
        """Run writes in one transaction, publish what they caused, answer them."""
        with self._span(calls):
            began = self._clock.monotonic()
            done, records, noted = await self._store_writes(calls)
            for note in noted:
                note()
            if records:
                self.cached_state.position = records[-1].seq
                self.commits += 1
                await self._publish(records)
            self._observer.committed(self.cached_state, len(calls), len(records), self._clock.monotonic() - began)
        for call, result in done:
            if not call.future.done():
                call.future.set_result(result)

    async def _store_writes(self, calls: list[_Call[Any]]) -> _Stored:
        done: list[tuple[_Call[Any], Any]] = []
        noted: list[Callable[[], None]] = []
        facts: list[Fact] = []
        undo: list[Fact] = []
        records: list[Record] = []
        try:
            async with self._store.transaction() as transaction:
                await self._catch_up(transaction)
                now = self._clock.now()
                for call in calls:
                    assert call.write is not None
                    draft = Draft(self.cached_state, now, transaction)
                    try:
                        result = await call.write(draft)
                        for consequence in self.consequences:
                            consequence(draft)
                    except RegistryError as error:
                        if isinstance(error, StoreUnavailableError):
                            raise
                        draft.roll_back()
                        _fail(call, error)
                        continue
                    finally:
                        undo.extend(draft.undo)
                    facts.extend(draft.facts)
                    noted.extend(draft.after_commit)
                    done.append((call, result))
                if facts:
                    records = await transaction.write(facts, now)
        except BaseException:
            for fact in reversed(undo):
                self.cached_state.apply(fact)
            raise
        return done, records, noted

    @contextmanager
    def _span(self, calls: list[_Call[Any]]) -> Iterator[None]:
        """A span in the trace of the first write, linked to those of the others; publishing happens inside it."""
        if self._tracer is None:
            yield
            return
        first, *others = [call.context.run(trace.get_current_span) for call in calls]
        links = [trace.Link(span.get_span_context()) for span in others if span.get_span_context().is_valid]
        with self._tracer.start_as_current_span(
            "registry commit",
            context=trace.set_span_in_context(first),
            links=links,
            attributes={"smartscale.writes": len(calls)},
        ):
            yield

    async def _catch_up(self, source: Log) -> None:
        """Bring the state to the newest position: apply what other replicas committed, or load everything."""
        state = self._state
        newest = await source.position()
        if state is not None:
            if state.position == newest:
                return
            while state.position < newest:
                records = await source.records(state.position, _PAGE)
                if not records or records[0].seq != state.position + 1:
                    break
                for record in records:
                    state.apply(self._codec.decode(record.payload))
                    state.position = record.seq
            if state.position >= newest:
                return
        self._state = await source.load()

    def _state_unsure(self, error: Exception) -> None:
        """Mark the state as stale after a failure that leaves unknown what was committed; the next call loads it."""
        if isinstance(error, RegistryError) and not isinstance(error, StoreUnavailableError):
            return
        if isinstance(error, StoreUnavailableError):
            log.error("registry database failed", reason=str(error))
        else:
            log.exception("registry write failed")
        self._stale()

    def _stale(self) -> None:
        if self._state is not None:
            # Keep what is known for hints, at a position that no log has.
            self._state.position = -1


def _fail(call: _Call[Any], error: Exception) -> None:
    if not call.future.done():
        call.future.set_exception(error)
