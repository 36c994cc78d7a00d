"""News of logins and SSH checks over the bus: an auth id is published when it was decided, in whichever instance.

The bus may lose news and says so by `Reconnected`; then all who wait look again. Nothing is read from a message but
which login to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from services.auth.model.errors import TooManyError
from services.auth.model.login import AuthId
from services.shared.bus import Bus, Message
from services.shared.ids import TailnetId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

MAX_WAITERS = 8192
MAX_WAITERS_PER_LOGIN = 4
"""A client has one Followup in flight; more are its connections that were not yet seen to end. The oldest goes."""
REST = 1.0


def topic_of(tailnet: TailnetId) -> str:
    """Where news of a tailnet's logins are published."""
    return f"smartscale.{tailnet}.auth.logins"


class Waiter:
    """One who waits for news of a login."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self._evicted = False

    async def news(self, seconds: float) -> None:
        """Return at news, or when the time is over; news since the last return counts.

        Raises:
            TooManyError: newer requests took its place.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()
        if self._evicted:
            raise TooManyError("newer requests wait for this login", 5)

    def wake(self) -> None:
        """There are news."""
        self._news.set()

    def evict(self) -> None:
        """Make way for a newer one."""
        self._evicted = True
        self._news.set()


class BusLoginNotifications:
    """The watches of this process, woken by the bus."""

    def __init__(self, bus: Bus, tailnet: TailnetId) -> None:
        self._bus = bus
        self._topic = topic_of(tailnet)
        self._watches: dict[str, list[Waiter]] = {}
        self._count = 0
        self._listener: asyncio.Task[None] | None = None

    @property
    def waiting_requests(self) -> int:
        """How many wait now."""
        return self._count

    async def start(self) -> None:
        """Listen; returns when no news can be missed any more."""
        live = asyncio.Event()
        self._listener = asyncio.create_task(self._listen(live), name="login news")
        await live.wait()

    async def stop(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
            self._listener = None

    @contextmanager
    def watch(self, auth_id: AuthId, at_most: int = MAX_WAITERS_PER_LOGIN) -> Iterator[Waiter]:
        """Begin to watch a login or an SSH check.

        Raises:
            TooManyError: too many watch any.
        """
        if self._count >= MAX_WAITERS:
            raise TooManyError("too many requests wait for a login", 5)
        here = self._watches.get(auth_id, [])
        if len(here) >= at_most:
            here[0].evict()
        watch = Waiter()
        self._watches.setdefault(auth_id, []).append(watch)
        self._count += 1
        try:
            yield watch
        finally:
            self._count -= 1
            rest = self._watches[auth_id]
            rest.remove(watch)
            if not rest:
                del self._watches[auth_id]

    async def announce(self, auth_id: AuthId) -> None:
        """Tell all instances that a login changed; this one at once."""
        self._wake(auth_id)
        await self._bus.publish(self._topic, auth_id.encode())

    def _wake(self, auth_id: str) -> None:
        for watch in self._watches.get(auth_id, ()):
            watch.wake()

    async def _listen(self, live: asyncio.Event) -> None:
        while True:
            try:
                async with self._bus.subscribe(self._topic) as messages:
                    live.set()
                    self._wake_all()  # whatever was published before is lost
                    async for message in messages:
                        if isinstance(message, Message):
                            self._wake(message.payload[:64].decode("ascii", "replace"))
                        else:
                            self._wake_all()
            except Exception:
                log.exception("listening for login news failed")
            live.set()  # without news there is still the slow look
            await asyncio.sleep(REST)

    def _wake_all(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()
