"""Clients that mean harm, beside a fleet that does not: what they cost, and what the others feel."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket

from tests.bench.load.device import Device
from tests.bench.load.fleet import Fleet
from tests.bench.load.scenarios import Figures, churn
from tests.bench.load.wire import LostError, now

CONNECTIONS = 9000
READERS = 50
AHEAD = 8
"""Reports that one device has under way at a time."""


async def hostile(fleet: Fleet, seconds: float = 10.0) -> Figures:
    """Connections that never say anything, map sessions that nobody reads, one device that reconnects and one
    that moves without end."""
    quiet = await churn(fleet, seconds=seconds)
    flapper = next(device for device in fleet.devices if not device.sampled)
    account = fleet.target.account
    memory = account.pss()
    loop = asyncio.get_running_loop()
    address = fleet.server.address
    silent = []
    for _ in range(CONNECTIONS):
        with contextlib.suppress(OSError):
            sock = socket.socket()
            silent.append(sock)
            sock.setblocking(False)
            await asyncio.wait_for(loop.sock_connect(sock, address), 5)
    after_silent = account.pss() - memory
    deaf = [await _never_reads(fleet) for _ in range(READERS)]
    after_deaf = account.pss() - memory
    last = next(device for device in reversed(fleet.devices) if not device.slow and not device.sampled)
    last.slow = True
    restless = asyncio.create_task(_reconnects(last, 100.0))
    flapper.slow = True
    flapping = asyncio.create_task(_flaps(flapper))
    busy = await churn(fleet, seconds=seconds, restless=[flapper])
    for task in (restless, flapping):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    flapper.slow = False
    if flapper.lost:
        await flapper.reconnect()
        await flapper.report()
    at_end = account.pss() - memory
    for sock in silent:
        sock.close()
    for device in deaf:
        device.cut()
    await asyncio.sleep(1.0)
    await last.reconnect()
    last.slow = False
    # However many reports were let go: the last one of the device that moved counts.
    await fleet.prove()
    fleet.devices = [device for device in fleet.devices if device not in set(deaf)]
    return {
        "silent_connections": len(silent), "silent_growth_mib": after_silent / 2**20,
        "deaf_growth_mib": (after_deaf - after_silent) / 2**20, "growth_at_end_mib": at_end / 2**20,
        "quiet_p99_ms": quiet["p99_ms"], "p99_ms": busy["p99_ms"], "p99_ratio": busy["p99_ms"] / quiet["p99_ms"],
        "quiet_core_percent": quiet["core_percent"], "core_percent": busy["core_percent"],
    }  # fmt: skip


async def _never_reads(fleet: Fleet) -> Device:
    """A device that joins, asks for its map, and reads nothing; its window is the smallest that is usual."""
    device = fleet.make()
    await device.connect(window=65535)
    await device.register(fleet.key_of(device))
    device.open_map()
    await device.report()
    assert device.wire is not None and device.wire.transport is not None
    device.wire.transport.pause_reading()
    device.slow = True
    return device


async def _flaps(device: Device) -> None:
    """Move its endpoint without end, and say so without waiting until the former place was heard."""
    number, under_way = 0, set[asyncio.Task[None]]()
    try:
        while True:
            number += 1
            under_way.add(asyncio.create_task(device.report(f"203.0.113.{number % 250 + 1}:{number % 60000 + 1024}")))
            if len(under_way) > AHEAD:
                _, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.001)
    finally:
        await asyncio.gather(*under_way, return_exceptions=True)


async def _reconnects(device: Device, rate: float) -> None:
    """Come back so many times a second."""
    while True:
        start = now()
        with contextlib.suppress(LostError, OSError, TimeoutError):
            await device.reconnect(attempts=1)
        device.cut()
        await asyncio.sleep(max(0.0, 1 / rate * random.uniform(0.5, 1.5) - (now() - start)))
