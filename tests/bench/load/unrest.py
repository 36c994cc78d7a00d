"""A fleet that is never quiet: devices move, flap, dawdle, come anew; then all calm down and the truth is written.

    python -m tests.bench.load.unrest '{"urls": [...], "key": "...", "devices": 300, "seconds": 60, "truth": "FILE"}'

Prints a line at each stage: `grown`, `calm`, `proved` or what is wrong. After that it stays connected until its
standard input ends, so that others can be asked what they see of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import uvloop

from tests.bench.load.device import Device
from tests.bench.load.fleet import Fleet
from tests.bench.load.target import Somewhere, raise_limits
from tests.bench.load.truth import WrongNetmapError
from tests.bench.load.wire import LostError, now

DAWDLE = 20.0
"""Seconds that a device reads nothing."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted."""

    urls: list[str]
    key: str
    devices: int
    seconds: float
    truth: str
    rate: float = 5.0
    sampled: int = 10


class Unrest:
    """The fleet and what happens in it."""

    def __init__(self, fleet: Fleet, order: Order) -> None:
        self.fleet, self.order = fleet, order
        self.done = {"moves": 0, "flaps": 0, "dawdlers": 0, "joins": 0}
        self._under_way: set[asyncio.Task[None]] = set()

    async def live(self) -> None:
        """Until the time is over."""
        end = now() + self.order.seconds
        async with self.fleet.following_losses():
            while now() < end:
                await asyncio.sleep(random.expovariate(self.order.rate))
                task = asyncio.create_task(self._one())
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await self._calm()

    async def _one(self) -> None:
        device = random.choice(self.fleet.devices)
        # What a lost connection swallows the device says again in `_calm`.
        with contextlib.suppress(LostError, OSError, TimeoutError):
            match random.choices(("move", "flap", "dawdle", "join"), (75, 15, 6, 4))[0]:
                case "move":
                    self.done["moves"] += 1
                    await device.report(f"198.51.100.{random.randint(1, 250)}:{random.randint(1024, 65000)}")
                case "flap":
                    self.done["flaps"] += 1
                    device.cut()
                case "dawdle":
                    self.done["dawdlers"] += 1
                    await self._dawdle(device)
                case "join":
                    self.done["joins"] += 1
                    newcomer = self.fleet.make()
                    newcomer.slow = True
                    await newcomer.join(self.order.key)
                    newcomer.slow = False

    async def _dawdle(self, device: Device) -> None:
        transport = device.wire.transport if device.wire is not None else None
        if transport is None or transport.is_closing():
            return
        transport.pause_reading()
        await asyncio.sleep(DAWDLE)
        if not transport.is_closing():
            transport.resume_reading()

    async def _calm(self) -> None:
        """Let every device be there, and say once more where it is."""
        end = now() + 120
        told: set[Device] = set()
        for device in [device for device in self.fleet.devices if device.slow]:
            # It was about to join when something died under it.
            with contextlib.suppress(LostError, OSError, TimeoutError):
                await device.join(self.order.key)
                device.slow = False
        self.fleet.devices = [device for device in self.fleet.devices if not device.slow]
        while now() < end and len(told) < len(self.fleet.devices):
            for device in self.fleet.devices:
                if device in told or device.lost or not device.has_map.is_set():
                    continue
                with contextlib.suppress(LostError, OSError, TimeoutError):
                    await device.report()
                    told.add(device)
            await asyncio.sleep(0.5)

    def write_truth(self) -> None:
        """What every device last said of itself, by node key."""
        said = {
            device.node_key: {"endpoints": device.endpoints, "disco": device.disco_key, "online": not device.lost}
            for device in self.fleet.devices
        }
        Path(self.order.truth).write_text(json.dumps(said))


async def play(order: Order) -> int:
    """Grow, live, calm down, prove, and stay."""
    fleet = await Fleet.at(Somewhere(order.urls, [order.key], []), order.sampled)
    await fleet.grow(order.devices)
    print("grown", flush=True)
    unrest = Unrest(fleet, order)
    await unrest.live()
    print("calm", json.dumps(unrest.done), flush=True)
    async with fleet.following_losses():
        try:
            await fleet.quiet(2.0)
            await fleet.prove()
            verdict = "proved"
        except (WrongNetmapError, TimeoutError) as error:
            verdict = f"wrong: {error}"
        unrest.write_truth()
        print(verdict, flush=True)
        await asyncio.to_thread(sys.stdin.buffer.read)
    fleet.hang_up()
    return int(verdict != "proved")


if __name__ == "__main__":
    raise_limits()
    raise SystemExit(uvloop.run(play(Order(**json.loads(sys.argv[1])))))
