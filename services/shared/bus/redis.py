"""The bus between processes: Redis pub/sub. Owns one subscriber connection and the connections that publish.

A message on the wire: one byte of kind (1 message, 2 gap), one byte of length of the traceparent, the traceparent, the
payload. Redis loses what is published while a reader is away, so every reader hears `Reconnected` after each gap in
its connection. What a publisher could not send it owes: as soon as Redis answers again it sends a gap on that topic, so
that readers whose own connection never failed hear `Reconnected` too. While Redis is known to be away, publishing
costs nothing: no request waits for a timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from services.shared.bus.port import Message, Reconnected
from services.shared.bus.queue import CAPACITY, Inbox
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.propagation import current_traceparent
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

_MESSAGE = 1
_GAP = 2
_TROUBLE = (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError)
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_LONGEST_DEBT = 0.5
_PING_EVERY = 5.0
_ANSWER_WITHIN = 5.0
_PUBLISH_WITHIN = 2.0
_LIVE_WITHIN = 2.0
"""Seconds that a new reader waits for Redis. Processes start without it; `Reconnected` tells when it is there."""


class BusMetrics:
    """The numbers of one registry about the bus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.lost = Counter(
            "smartscale_bus_publish_failures", "Messages that could not be published.", registry=registry
        )
        self.cuts = Counter(
            "smartscale_bus_reconnects", "Times the subscriber connection was made anew.", registry=registry
        )
        self.slow = Counter(
            "smartscale_bus_overflows", "Times a reader was too slow and lost messages.", registry=registry
        )


def pack(payload: bytes, traceparent: str) -> bytes:
    """Write a message as it travels."""
    trace = traceparent.encode()[:255]
    return bytes((_MESSAGE, len(trace))) + trace + payload


def unpack(topic: str, data: bytes) -> Message | Reconnected | None:
    """Read a message as it travelled; None for what another program published."""
    if len(data) < 2 or data[0] not in (_MESSAGE, _GAP) or len(data) < 2 + data[1]:
        return None
    if data[0] == _GAP:
        return Reconnected()
    end = 2 + data[1]
    return Message(topic, data[end:], data[2:end].decode("ascii", "replace"))


class RedisBus:
    """Publishes and subscribes by one Redis; survives its restarts."""

    def __init__(self, url: str, telemetry: Telemetry | None = None, capacity: int = CAPACITY) -> None:
        options: dict[str, Any] = {
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
        }
        self._publisher = Redis.from_url(url, socket_timeout=_PUBLISH_WITHIN, max_connections=16, **options)
        self._listener = Redis.from_url(url, socket_timeout=None, **options)
        self._capacity = capacity
        self._metrics = (telemetry or Telemetry()).once(BusMetrics)
        self._inboxes: dict[str, set[Inbox]] = {}
        self._live: set[str] = set()
        self._stale: set[str] = set()
        """Topics whose readers missed something: told so once Redis listens for them again."""
        self._changed = asyncio.Condition()
        self._pubsub: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._owed: set[str] = set()
        self._debtor: asyncio.Task[None] | None = None
        self._closed = False

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send to all who subscribe now; what cannot be sent is owed."""
        if self._debtor is None:
            try:
                await self._send(topic, pack(payload, current_traceparent()))
            except _TROUBLE as error:
                log.warning("bus publish failed", topic=topic, error=type(error).__name__)
            else:
                return
        self._metrics.lost.inc()
        self._owed.add(topic)
        if self._debtor is None and not self._closed:
            self._debtor = asyncio.get_running_loop().create_task(self._pay())

    async def _send(self, topic: str, data: bytes) -> None:
        async with asyncio.timeout(_PUBLISH_WITHIN):
            try:
                await self._publisher.publish(topic, data)
            except (RedisConnectionError, OSError):  # a pooled connection that died unseen: once more on a fresh one
                await self._publisher.publish(topic, data)

    async def _pay(self) -> None:
        """Send the owed gaps as soon as Redis takes them."""
        pause = _FIRST_PAUSE
        while self._owed:
            topic = next(iter(self._owed))
            try:
                await self._send(topic, bytes((_GAP, 0)))
            except _TROUBLE:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_DEBT)
            else:
                self._owed.discard(topic)
        self._debtor = None

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[AsyncIterator[Message | Reconnected]]:
        """Receive what is published to these topics; entering waits until Redis confirmed all of them, but not long."""
        inbox = Inbox(self._capacity)
        for topic in topics:
            self._inboxes.setdefault(topic, set()).add(inbox)
        try:
            if self._reader is None:
                self._reader = asyncio.get_running_loop().create_task(self._read_for_ever())
            await self._subscribe_new(topics)
            try:
                async with asyncio.timeout(_LIVE_WITHIN), self._changed:
                    await self._changed.wait_for(lambda: self._live.issuperset(topics))
            except TimeoutError:
                log.warning("bus is away, its readers go on without it", topics=",".join(topics))
                self._stale.update(topic for topic in topics if topic not in self._live)
            yield inbox
        finally:
            await self._forget(inbox, topics)

    async def close(self) -> None:
        """End all subscriptions and connections."""
        self._closed = True
        for task in (self._reader, self._debtor):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        for inbox in self._readers():
            inbox.close()
        with contextlib.suppress(*_TROUBLE):
            await self._publisher.aclose()
        with contextlib.suppress(*_TROUBLE):
            await self._listener.aclose()

    def _readers(self) -> set[Inbox]:
        return {inbox for inboxes in self._inboxes.values() for inbox in inboxes}

    async def _subscribe_new(self, topics: tuple[str, ...]) -> None:
        if self._pubsub is not None:
            # When this fails the reading task fails too, and subscribes anew to everything.
            with contextlib.suppress(*_TROUBLE):
                await self._pubsub.subscribe(*topics)

    async def _forget(self, inbox: Inbox, topics: tuple[str, ...]) -> None:
        unused = []
        for topic in topics:
            inboxes = self._inboxes.get(topic, set())
            inboxes.discard(inbox)
            if not inboxes:
                self._inboxes.pop(topic, None)
                self._live.discard(topic)
                self._stale.discard(topic)
                unused.append(topic)
        if unused and self._pubsub is not None:
            with contextlib.suppress(*_TROUBLE):
                await self._pubsub.unsubscribe(*unused)

    async def _read_for_ever(self) -> None:
        pause = _FIRST_PAUSE
        first = True
        while True:
            try:
                async with self._listener.pubsub() as pubsub:
                    await pubsub.subscribe(*self._inboxes)
                    self._pubsub = pubsub
                    if not first:
                        self._metrics.cuts.inc()
                        log.info("bus connection is back")
                    pause = _FIRST_PAUSE
                    await self._read(pubsub)
            except _TROUBLE as error:
                if pause == _FIRST_PAUSE:
                    log.warning("bus connection lost", error=type(error).__name__)
            finally:
                self._pubsub = None
                self._stale |= self._live
                self._live.clear()
            first = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _read(self, pubsub: Any) -> None:
        """Deliver until the connection fails; a silent one is asked for a sign of life."""
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
        if topic in self._inboxes:
            if topic in self._stale:
                for inbox in self._inboxes[topic]:
                    inbox.lost()
            self._stale.discard(topic)
            self._live.add(topic)
            async with self._changed:
                self._changed.notify_all()

    def _deliver(self, topic: str, data: bytes) -> None:
        message = unpack(topic, data)
        if message is None:
            log.warning("bus message of another format ignored", topic=topic)
            return
        for inbox in self._inboxes.get(topic, ()):
            if isinstance(message, Reconnected):
                inbox.lost()
            elif not inbox.put(message):
                self._metrics.slow.inc()
                log.warning("bus reader too slow, messages dropped", topic=topic)
