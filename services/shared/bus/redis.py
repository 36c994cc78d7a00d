"""The bus between processes, on Redis pub/sub. Owns one subscriber connection and a pool that publishes.

A record without a valid signature (`record`) is dropped, and since it may have replaced a genuine one, the readers of
its topic get `Reconnected`, at most once per `DISTRUST_SECONDS`.

Redis does not keep messages for a disconnected reader, so every reader gets `Reconnected` after each gap in its
connection. A publisher that failed to send publishes a gap on that topic as soon as Redis responds again, so that
readers whose own connection never failed get `Reconnected` too. While Redis is unavailable, publishing returns at
once: no request waits for a timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter as Counter_
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TypedDict

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from services.shared.background import Background
from services.shared.bus.port import Message, Reconnected
from services.shared.bus.queue import CAPACITY, Inbox
from services.shared.bus.record import GAP, RecordSigner, pack, unpack
from services.shared.telemetry.instruments import CollectorRegistry, Counter
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.propagation import current_traceparent
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

_TROUBLE = (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError)
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_LONGEST_DEBT = 0.5
_PING_EVERY = 5.0
_ANSWER_WITHIN = 5.0
_PUBLISH_WITHIN = 2.0
_LIVE_WITHIN = 2.0
"""Seconds that a new reader waits for Redis. Processes start without it, and get `Reconnected` once connected."""


DISTRUST_SECONDS = 1.0
"""Minimum seconds between two rereads of a topic's store that forged records cause."""


class _Options(TypedDict):
    """Options of both Redis clients. They do not reconnect by themselves, because that would hide a gap."""

    socket_connect_timeout: float
    socket_keepalive: bool
    retry: Retry
    protocol: int


class BusMetrics:
    """Metrics of the bus in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lost = Counter(
            "smartscale_bus_publish_failures", "Messages that could not be published.", registry=registry
        )
        self.cuts = Counter("smartscale_bus_reconnects", "Reconnections of the subscriber.", registry=registry)
        self.forged = Counter(
            "smartscale_bus_unsigned", "Records dropped for lack of a valid signature.", registry=registry
        )
        self.slow = Counter(
            "smartscale_bus_overflows", "Overflows of a slow reader's queue, which lose messages.", registry=registry
        )


class RedisBus:
    """A bus on one Redis server; survives its restarts."""

    def __init__(self, url: str, telemetry: Telemetry | None = None, capacity: int = CAPACITY, token: str = "") -> None:
        """The bus connects when first used. Records are signed if there is a deployment token."""
        self._seal = RecordSigner(token)
        self._distrusted: dict[str, asyncio.TimerHandle] = {}
        """Topics with a recent unsigned record."""
        self._repeat: set[str] = set()
        """Distrusted topics with a further unsigned record since."""
        options = _Options(socket_connect_timeout=3, socket_keepalive=True, retry=Retry(NoBackoff(), 0), protocol=2)
        self._publisher = Redis.from_url(url, socket_timeout=_PUBLISH_WITHIN, max_connections=16, **options)
        self._listener = Redis.from_url(url, socket_timeout=None, **options)
        self._capacity = capacity
        telemetry = telemetry or Telemetry()
        self._metrics = telemetry.once(BusMetrics)
        self._background = Background(telemetry)
        self._inboxes: dict[str, set[Inbox]] = {}
        self._live: set[str] = set()
        self._stale: set[str] = set()
        """Topics whose readers get `Reconnected` once Redis confirms the subscription again."""
        self._unconfirmed: Counter_[str] = Counter_()
        """Number of unconfirmed subscriptions by topic."""
        self._wanted = asyncio.Event()
        """Set while the bus has a reader."""
        self._changed = asyncio.Condition()
        self._pubsub: PubSub | None = None
        self._reading = False
        self._owed: set[str] = set()
        """Topics whose readers must be sent a gap."""
        self._sending_gaps = False
        self._closed = False

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send to the current subscribers. On failure, a gap is sent on the topic later."""
        if not self._sending_gaps:
            try:
                await self._send(topic, pack(payload, current_traceparent()))
            except _TROUBLE as error:
                log.warning("bus publish failed", topic=topic, error=type(error).__name__)
            else:
                return
        self._metrics.lost.inc()
        self._owed.add(topic)
        if not self._sending_gaps and not self._closed:
            self._sending_gaps = True
            self._background.keep(self._send_gaps, "bus gaps")

    async def _send(self, topic: str, data: bytes) -> None:
        record = self._seal.sign(topic, data)
        async with asyncio.timeout(_PUBLISH_WITHIN):
            try:
                await self._publisher.publish(topic, record)
            except (RedisConnectionError, OSError):  # a stale pooled connection: retry once on a new one
                await self._publisher.publish(topic, record)

    async def _send_gaps(self) -> None:
        """Send the owed gaps as soon as Redis takes them."""
        pause = _FIRST_PAUSE
        while self._owed:
            topic = next(iter(self._owed))
            try:
                await self._send(topic, GAP)
            except _TROUBLE:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_DEBT)
            else:
                self._owed.discard(topic)
        self._sending_gaps = False

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[AsyncIterator[Message | Reconnected]]:
        """Receive messages of these topics; entering waits some seconds for Redis to confirm all of them."""
        inbox = Inbox(self._capacity)
        for topic in topics:
            self._inboxes.setdefault(topic, set()).add(inbox)
        self._wanted.set()
        try:
            if not self._reading:
                self._reading = True
                self._background.keep(self._read_until_closed, "bus reader")
            if self._pubsub is not None:
                # When this fails the reading task fails too, and subscribes to everything again.
                with contextlib.suppress(*_TROUBLE):
                    await self._ask_for(self._pubsub, topics)
            try:
                async with asyncio.timeout(_LIVE_WITHIN), self._changed:
                    await self._changed.wait_for(lambda: self._live.issuperset(topics))
            except TimeoutError:
                log.warning("bus unavailable, readers continue without it", topics=",".join(topics))
                self._stale.update(topic for topic in topics if topic not in self._live)
            yield inbox
        finally:
            await self._forget(inbox, topics)

    async def close(self) -> None:
        """End all subscriptions and connections."""
        self._closed = True
        for timer in self._distrusted.values():
            timer.cancel()
        await self._background.stop()
        for inbox in self._readers():
            inbox.close()
        with contextlib.suppress(*_TROUBLE):
            await self._publisher.aclose()
        with contextlib.suppress(*_TROUBLE):
            await self._listener.aclose()

    def _readers(self) -> set[Inbox]:
        return {inbox for inboxes in self._inboxes.values() for inbox in inboxes}

    async def _ask_for(self, pubsub: PubSub, topics: Iterable[str]) -> None:
        self._unconfirmed.update(topics)
        await pubsub.subscribe(*topics)

    async def _connect(self, pubsub: PubSub) -> None:
        """Subscribe to every topic that has a reader, also to those whose first reader comes while this waits."""
        asked: set[str] = set()
        while missing := tuple(self._inboxes.keys() - asked):
            await self._ask_for(pubsub, missing)
            asked.update(missing)
        # No await in between: from here on a new reader subscribes by itself.
        self._pubsub = pubsub

    async def _forget(self, inbox: Inbox, topics: tuple[str, ...]) -> None:
        unused = []
        for topic in topics:
            inboxes = self._inboxes.get(topic, set())
            inboxes.discard(inbox)
            if not inboxes:
                self._inboxes.pop(topic, None)
                self._live.discard(topic)
                self._stale.discard(topic)
                self._repeat.discard(topic)
                unused.append(topic)
        if not self._inboxes:
            self._wanted.clear()
        if unused and self._pubsub is not None:
            with contextlib.suppress(*_TROUBLE):
                await self._pubsub.unsubscribe(*unused)

    async def _read_until_closed(self) -> None:
        pause = _FIRST_PAUSE
        first = True
        while True:
            await self._wanted.wait()
            try:
                async with self._listener.pubsub() as pubsub:
                    await self._connect(pubsub)
                    if not first:
                        self._metrics.cuts.inc()
                        log.info("bus connection restored")
                    pause = _FIRST_PAUSE
                    await self._read(pubsub)
            except _TROUBLE as error:
                if pause == _FIRST_PAUSE:
                    log.warning("bus connection lost", error=type(error).__name__)
            finally:
                self._pubsub = None
                self._stale |= self._live
                self._live.clear()
                self._unconfirmed.clear()
            first = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _read(self, pubsub: PubSub) -> None:
        """Deliver messages until the connection fails; a silent connection is pinged."""
        silent = 0.0
        while True:
            frame = await pubsub.get_message(timeout=_PING_EVERY)
            if frame is None:
                silent += _PING_EVERY
                if silent > _PING_EVERY + _ANSWER_WITHIN:
                    raise TimeoutError
                if self._inboxes:
                    await pubsub.ping()
                continue
            silent = 0.0
            if frame["type"] == "subscribe":
                await self._confirmed(frame["channel"].decode())
            elif frame["type"] == "message":
                self._deliver(frame["channel"].decode(), frame["data"])

    async def _confirmed(self, topic: str) -> None:
        self._unconfirmed[topic] -= 1
        if self._unconfirmed[topic] > 0:
            return  # of a reader that has left; what it asked for has been taken back behind it
        del self._unconfirmed[topic]
        if topic in self._inboxes:
            if topic in self._stale:
                for inbox in self._inboxes[topic]:
                    inbox.lost()
            self._stale.discard(topic)
            self._live.add(topic)
            async with self._changed:
                self._changed.notify_all()

    def _deliver(self, topic: str, data: bytes) -> None:
        body = self._seal.verify(topic, data)
        message = unpack(topic, body) if body is not None else None
        if message is None:
            self._distrust(topic)
            return
        for inbox in self._inboxes.get(topic, ()):
            if isinstance(message, Reconnected):
                inbox.lost()
            elif not inbox.put(message):
                self._metrics.slow.inc()
                log.warning("bus reader too slow, messages dropped", topic=topic)

    def _distrust(self, topic: str) -> None:
        """Send `Reconnected` to the readers of a topic, now or when `DISTRUST_SECONDS` have passed since the last."""
        self._metrics.forged.inc()
        if topic in self._distrusted:
            self._repeat.add(topic)
            return
        log.warning("bus record without valid signature dropped", topic=topic)
        self._read_again(topic)

    def _read_again(self, topic: str) -> None:
        for inbox in self._inboxes.get(topic, ()):
            inbox.lost()
        self._distrusted[topic] = asyncio.get_running_loop().call_later(DISTRUST_SECONDS, self._end_distrust, topic)

    def _end_distrust(self, topic: str) -> None:
        del self._distrusted[topic]
        if topic in self._repeat:
            self._repeat.discard(topic)
            self._read_again(topic)
