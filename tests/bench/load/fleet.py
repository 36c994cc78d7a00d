"""Many devices at once: joins them with bounded concurrency, waits for quiet, and proves what the sampled ones hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager

from tests.bench.load.device import DEADLINE, Device, Server
from tests.bench.load.target import Target
from tests.bench.load.truth import Sees, WrongNetmapError, differences, everyone
from tests.bench.load.wire import now
from tests.fakes.certificates import any_certificate
from tests.fakes.dialling import fetch_control_key

SAMPLED = 20
AT_ONCE = 32
QUIET = 0.6
"""Seconds without a message to anyone after which all is told."""


class Fleet:
    """The devices of one tailnet."""

    def __init__(self, target: Target, servers: Sequence[Server], sampled: int = SAMPLED) -> None:
        self.target, self.servers = target, servers
        self.devices: list[Device] = []
        self._sampled = sampled
        self.sees: Sees = everyone

    @classmethod
    async def at(cls, target: Target, sampled: int = SAMPLED) -> Fleet:
        """A fleet without devices, at a server that answers."""
        servers = []
        for url in target.urls:
            tls = any_certificate() if url.startswith("https:") else None
            servers.append(Server(url, await fetch_control_key(url, tls=tls), tls))
        return cls(target, servers, sampled)

    @property
    def server(self) -> Server:
        """The first address."""
        return self.servers[0]

    @property
    def sampled(self) -> list[Device]:
        """Those whose netmaps are decoded."""
        return [device for device in self.devices if device.sampled]

    def make(self, *, sampled: bool = False) -> Device:
        """One more device, not yet connected."""
        number = len(self.devices)
        # By turns of all groups, so that members of a group are spread over the servers.
        server = self.servers[number // len(self.target.auth_keys) % len(self.servers)]
        device = Device(server, number, number % len(self.target.auth_keys), sampled=sampled)
        self.devices.append(device)
        return device

    def key_of(self, device: Device) -> str:
        """The pre-auth key that it joins with."""
        return self.target.auth_keys[device.group]

    async def grow(self, size: int) -> None:
        """Join devices until there are so many; the sampled ones are spread evenly over them."""
        begin = len(self.devices)
        missing = size - begin
        every = max(1, missing // max(1, self._sampled - len(self.sampled))) if self._sampled else size + 1
        made = [self.make(sampled=n % every == 0 and len(self.sampled) < self._sampled) for n in range(missing)]
        await each(made, lambda device: device.join(self.key_of(device)))
        await self.quiet()

    async def quiet(self, seconds: float = QUIET, deadline: float = DEADLINE) -> None:
        """Wait until nobody hears anything any more."""
        end = now() + deadline
        while now() < end:
            latest = max((device.last for device in self.devices), default=0.0)
            rest = latest + seconds - now()
            if rest <= 0:
                return
            await asyncio.sleep(rest)
        raise TimeoutError("the server never falls silent")

    def mark(self) -> None:
        """Count from here."""
        for device in self.devices:
            device.mark()

    async def prove(self, without: Iterable[Device] = (), restless: Collection[Device] = ()) -> None:
        """Compare the sampled netmaps with the truth; `without` are gone, and of the `restless` nobody knows where.

        Raises:
            WrongNetmapError: some differ, and still do after waiting.
        """
        gone = set(without)
        present = [device for device in self.devices if device not in gone]
        wrong: list[str] = []
        for _ in range(10):
            wrong = differences(present, [device for device in self.sampled if device not in gone], self.sees, restless)
            if not wrong:
                return
            await asyncio.sleep(0.5)
        raise WrongNetmapError(f"{len(wrong)} differences: " + "; ".join(wrong[:5]))

    @asynccontextmanager
    async def following_losses(self, spread: float = 0.5) -> AsyncIterator[None]:
        """Meanwhile bring every device back that loses its connection, as clients do, to whichever server takes it."""
        returning: dict[Device, asyncio.Task[None]] = {}

        async def follow() -> None:
            while True:
                for device in self.devices:
                    known = returning.get(device)
                    if not device.slow and device.lost and (known is None or known.done()):
                        device.server = self.servers[(self.servers.index(device.server) + 1) % len(self.servers)]
                        returning[device] = asyncio.create_task(device.reconnect(spread, attempts=60))
                await asyncio.sleep(0.05)

        following = asyncio.create_task(follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(*returning.values(), return_exceptions=True)

    def hang_up(self) -> None:
        """Cut all connections."""
        for device in self.devices:
            device.cut()


async def each(devices: Sequence[Device], work: Callable[[Device], Awaitable[object]], at_once: int = AT_ONCE) -> None:
    """Do something with every device, so many at once."""
    gate = asyncio.Semaphore(at_once)

    async def one(device: Device) -> None:
        async with gate:
            await work(device)

    await asyncio.gather(*map(one, devices))
