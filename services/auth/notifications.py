"""Notifications of decided logins and SSH checks over the bus: an auth id is published by the instance that decides it.

A message contains only the auth id to read again. The bus can lose messages and reports
that as `Reconnected`; `services.auth.decision_sweep` then reads the decisions made meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.auth.model.errors import TooManyError
from services.auth.model.login import AuthId
from services.shared.background import Background
from services.shared.bus import Bus, Message
from services.shared.ids import TailnetId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

MAX_WAITERS = 8192
MAX_WAITERS_PER_LOGIN = 4
"""Maximum requests for one login. A client has one Followup in flight; more belong to connections already lost."""
RESUBSCRIBE_SECONDS = 1.0
TOO_MANY = "newer requests wait for this login"


def topic_of(tailnet: TailnetId) -> str:
    """Return the bus topic of a tailnet's decided logins and checks."""
    return f"smartscale.{tailnet}.auth.logins"


class Waiter:
    """A request that waits for a login or check."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._evicted = False

    async def wait(self, seconds: float) -> None:
        """Return when notified, or after `seconds`; a notification since the last return counts.

        Raises:
            TooManyError: newer requests for the same login took its place.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()
        if self._evicted:
            raise TooManyError(TOO_MANY, 5)

    def wake(self) -> None:
        """Let it read again."""
        self._woken.set()

    def evict(self) -> None:
        """Make it give up for a newer request."""
        self._evicted = True
        self._woken.set()


class BusLoginNotifications:
    """The waiting requests of this process, woken by the bus."""

    def __init__(self, bus: Bus, tailnet: TailnetId, background: Background) -> None:
        self._bus = bus
        self._topic = topic_of(tailnet)
        self._waiters: dict[AuthId, list[Waiter]] = {}
        self._count = 0
        self._background = background
        self._loss = asyncio.Event()

    @property
    def waiting_requests(self) -> int:
        """Number of waiting requests."""
        return self._count

    async def start(self) -> None:
        """Subscribe. Returns when notifications arrive, or when the bus cannot be reached yet."""
        live = asyncio.Event()
        self._background.keep(lambda: self._listen(live), "auth notifications")
        await live.wait()

    async def stop(self) -> None:
        """Unsubscribe."""
        await self._background.stop()

    @contextmanager
    def watch(self, auth_id: AuthId, at_most: int = MAX_WAITERS_PER_LOGIN) -> Iterator[Waiter]:
        """Wait for a login or an SSH check. Of more than `at_most` requests for the same one, the oldest is evicted.

        Raises:
            TooManyError: too many requests wait, and none of them for the same login as another.
        """
        here = self._waiters.get(auth_id, [])
        if len(here) >= at_most:
            here[0].evict()
        elif self._count >= MAX_WAITERS:
            self._evict_from_largest()
        waiter = Waiter()
        self._waiters.setdefault(auth_id, []).append(waiter)
        self._count += 1
        try:
            yield waiter
        finally:
            self._count -= 1
            rest = self._waiters[auth_id]
            rest.remove(waiter)
            if not rest:
                del self._waiters[auth_id]

    async def announce(self, auth_id: AuthId) -> None:
        """Notify all instances of a decided login or check; this one at once."""
        self.wake(auth_id)
        await self._bus.publish(self._topic, auth_id.encode())

    def awaited(self) -> tuple[AuthId, ...]:
        """Return the logins and checks that requests wait for."""
        return tuple(self._waiters)

    def wake(self, auth_id: str) -> None:
        """Let the requests that wait for this login or check read it again."""
        for waiter in self._waiters.get(AuthId(auth_id), ()):
            waiter.wake()

    async def wait_for_loss(self, seconds: float) -> None:
        """Return when notifications may have been lost, or after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._loss.wait()
        except TimeoutError:
            return
        self._loss.clear()

    def _evict_from_largest(self) -> None:
        """Make room at the login that most requests wait for."""
        largest = max(self._waiters.values(), key=len)
        if len(largest) < 2:
            raise TooManyError("too many requests wait for a login", 5)
        largest[0].evict()

    async def _listen(self, live: asyncio.Event) -> None:
        while True:
            try:
                async with self._bus.subscribe(self._topic) as messages:
                    live.set()
                    self._loss.set()  # whatever was published before the subscription is lost
                    async for message in messages:
                        if isinstance(message, Message):
                            self.wake(message.payload[:64].decode("ascii", "replace"))
                        else:
                            self._loss.set()
            finally:
                live.set()  # without the bus there are still the sweeps
            await asyncio.sleep(RESUBSCRIBE_SECONDS)
