"""The scenarios. Each returns figures by name; CPU is that of all server processes together, in milliseconds."""

from __future__ import annotations

import asyncio
import gc
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from math import log

from tests.bench.load.account import median, percentile
from tests.bench.load.device import DEADLINE, Device
from tests.bench.load.fleet import Fleet, each
from tests.bench.load.truth import WrongNetmapError, everyone, own_group
from tests.bench.load.wire import now

Figures = dict[str, float]
Scenario = Callable[[Fleet], Awaitable[Figures]]
REPEATS = 15
GROUPS = 20
_SETTLE = 0.25


def _fresh(device: Device) -> str:
    device.endpoints = [f"198.51.100.{random.randint(1, 250)}:{random.randint(1024, 65000)}"]
    return device.endpoints[0]


async def _silence(fleet: Fleet, since: float, seconds: float = _SETTLE) -> None:
    """Wait until nobody has heard anything for so long after `since`."""
    end = now() + DEADLINE
    while (rest := max(since, *(device.last for device in fleet.devices if not device.slow)) + seconds - now()) > 0:
        if now() > end:
            raise TimeoutError("the server never falls silent")
        await asyncio.sleep(rest)


async def _told(devices: Sequence[Device]) -> None:
    """Wait until each has heard something, however busy the machine is.

    Raises:
        WrongNetmapError: some never do.
    """
    end = now() + DEADLINE
    while lacking := sum(1 for device in devices if not device.messages):
        if now() > end:
            raise WrongNetmapError(f"{lacking} of {len(devices)} were not told")
        await asyncio.sleep(_SETTLE / 10)


def _spread(name: str, values: list[float]) -> Figures:
    return {name: median(values), f"{name}_min": min(values), f"{name}_max": max(values)}


async def fanout_patch(fleet: Fleet, repeats: int = REPEATS) -> Figures:
    """One device changes its endpoint; all who see it are told. Apart from each other, many times."""
    cpu, ends, firsts, messages = [], [], [], []
    for _ in range(repeats + 1):
        mover = random.choice(fleet.devices)
        watchers = [device for device in fleet.devices if device is not mover and fleet.sees(device, mover)]
        fleet.mark()
        before, start = fleet.target.account.cpu(), now()
        await mover.report(_fresh(mover))
        await _told(watchers)
        await _silence(fleet, start)
        cpu.append((fleet.target.account.cpu() - before) * 1000)
        ends.append((max(device.last for device in watchers) - start) * 1000)
        firsts.append((min(device.first for device in watchers) - start) * 1000)
        messages.append(sum(device.messages for device in watchers) / len(watchers))
    await fleet.prove()
    return {
        **_spread("cpu_ms", cpu[1:]), "first_ms": median(firsts[1:]), **_spread("last_p50_ms", ends[1:]),
        "last_p99_ms": percentile(ends[1:], 0.99), "messages": median(messages),
    }  # fmt: skip


async def fanout_patch_acl(fleet: Fleet) -> Figures:
    """The same where a policy lets each of the groups see only itself."""
    if len(fleet.target.auth_keys) < GROUPS or not fleet.target.set_policy(policy_of_groups()):
        return {}
    fleet.sees = own_group
    await fleet.quiet()
    await fleet.prove()
    figures = await fanout_patch(fleet)
    fleet.target.set_policy(policy_for_all(1))
    fleet.sees = everyone
    await fleet.quiet(1.0)
    await fleet.prove()
    return figures


async def join(fleet: Fleet, repeats: int = 7) -> Figures:
    """One device registers, opens its map and reports; the others must all have it."""
    cpu, heard, told = [], [], []
    for _ in range(repeats + 1):
        others = list(fleet.devices)
        newcomer = fleet.make()
        await newcomer.connect()
        fleet.mark()
        before, start = fleet.target.account.cpu(), now()
        await newcomer.register(fleet.key_of(newcomer))
        newcomer.open_map()
        await newcomer.report()
        await asyncio.wait_for(newcomer.has_map.wait(), DEADLINE)
        await _told(others)
        await _silence(fleet, start)
        cpu.append((fleet.target.account.cpu() - before) * 1000)
        heard.append((max(device.first for device in others) - start) * 1000)
        told.append(sum(device.messages for device in others) / len(others))
    await fleet.prove()
    told_all = _spread("all_have_it_p50_ms", heard[1:])
    return {**_spread("cpu_ms", cpu[1:]), **told_all, "messages": median(told[1:])}


async def noop(fleet: Fleet, requests: int = 2000, at_once: int = 64) -> Figures:
    """Reports that say nothing new, by so many devices at once."""
    movers = random.sample(fleet.devices, min(at_once, len(fleet.devices)))
    for mover in movers:
        await mover.report()
    await _silence(fleet, now())
    fleet.mark()
    done = requests // len(movers) * len(movers)

    async def repeat(device: Device) -> None:
        for _ in range(requests // len(movers)):
            await device.report()

    cpu, rates = [], []
    for _ in range(5):
        before, start = fleet.target.account.cpu(), now()
        await asyncio.gather(*map(repeat, movers))
        cpu.append((fleet.target.account.cpu() - before) / done * 1e6)
        rates.append(done / (now() - start))
    await asyncio.sleep(_SETTLE)
    caused = sum(device.messages for device in fleet.devices)
    return {**_spread("cpu_us", cpu), "per_second": median(rates), "messages_caused": caused}


async def churn(fleet: Fleet, rate: float = 10.0, seconds: float = 60.0, restless: Sequence[Device] = ()) -> Figures:
    """Endpoint changes at random moments; how long until a sampled device knows, and the load they are.

    Of the `restless`, who move meanwhile too, it is not proved where they are.
    """
    for device in fleet.sampled:
        device.catch_up()
    fleet.mark()
    sent: dict[str, float] = {}
    reports = []
    movers = [device for device in fleet.devices if not device.slow]
    before, start = fleet.target.account.cpu(), now()
    at = start
    while at < start + seconds:
        at += random.expovariate(rate)
        await asyncio.sleep(max(0.0, at - now()))
        mover = random.choice(movers)
        sent[_fresh(mover)] = now()
        reports.append(asyncio.ensure_future(mover.report(mover.endpoints[0])))
    await asyncio.gather(*reports)
    spent, took = fleet.target.account.cpu() - before, now() - start
    await _silence(fleet, now())
    waits = []
    for device in fleet.sampled:
        device.catch_up()
        for arrived, message in device.arrivals:
            for peer in [*message.get("PeersChangedPatch", []), *message.get("PeersChanged", [])]:
                if (began := sent.get((peer.get("Endpoints") or [""])[0])) is not None:
                    waits.append((arrived - began) * 1000)
    await fleet.prove(restless=restless)
    return {
        "core_percent": spent / took * 100, "cpu_per_change_ms": spent / len(sent) * 1000,
        "p50_ms": median(waits), "p99_ms": percentile(waits, 0.99), "changes": len(sent),
        "messages": sum(device.messages for device in fleet.devices) / len(fleet.devices),
    }  # fmt: skip


async def reconnect_storm(fleet: Fleet, spread: float = 0.5) -> Figures:
    """All connections are cut at once; all come back."""
    gc.collect()
    account = fleet.target.account
    idle = peak = account.pss()
    fleet.mark()
    before, start = account.cpu(), now()
    fleet.hang_up()

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, account.pss())
            await asyncio.sleep(0.25)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(device.reconnect(spread) for device in fleet.devices))
    await asyncio.gather(*(asyncio.wait_for(device.has_map.wait(), DEADLINE) for device in fleet.devices))
    await _silence(fleet, now())
    spent = account.cpu() - before
    watching.cancel()
    maps = [device.map_at - start for device in fleet.devices]
    await fleet.prove()
    return {
        "cpu_s": spent, "last_map_s": max(maps), "map_p50_s": median(maps), "idle_mib": idle / 2**20,
        "peak_mib": peak / 2**20, "peak_ratio": peak / idle,
        "messages": sum(device.messages for device in fleet.devices) / len(fleet.devices),
    }  # fmt: skip


async def policy_change(fleet: Fleet) -> Figures:
    """An edit that changes everybody's filter, then one that hides a tenth of the devices and shows them again."""
    cpu, lasts = [], []
    for edit in range(1, 5):
        fleet.mark()
        before = fleet.target.account.cpu()
        if not await asyncio.to_thread(fleet.target.set_policy, policy_for_all(edit + 1)):
            return {}
        # Not from the start: the command line alone may take a second.
        await _told(fleet.devices)
        await _silence(fleet, now(), 0.5)
        cpu.append(fleet.target.account.cpu() - before)
        first = min(device.first for device in fleet.devices)
        lasts.append(max(device.last for device in fleet.devices) - first)
    await fleet.prove()
    return {**_spread("cpu_s", cpu[1:]), "first_to_last_s": median(lasts[1:])}


async def idle(fleet: Fleet, seconds: float = 10.0) -> Figures:
    """Nothing happens."""
    await fleet.quiet(1.0)
    before, start = fleet.target.account.cpu(), now()
    await asyncio.sleep(seconds)
    spent = fleet.target.account.cpu() - before
    return {"core_percent": spent / (now() - start) * 100, "pss_mib": fleet.target.account.pss() / 2**20}


async def _all_back(fleet: Fleet) -> None:
    """Wait until every device is connected and has its map."""
    end = now() + 2 * DEADLINE
    while away := sum(device.lost or not device.has_map.is_set() for device in fleet.devices):
        if now() > end:
            raise TimeoutError(f"{away} devices did not come back")
        await asyncio.sleep(0.05)


async def gateway_restart(fleet: Fleet) -> Figures:
    """What clients are connected to restarts; they come back; nobody may be seen to have been away."""
    for device in fleet.sampled:
        device.catch_up()
    fleet.mark()
    lost: dict[Device, float] = {}
    start = now()

    async def watch() -> None:
        while True:
            for device in fleet.devices:
                if device.lost:
                    lost.setdefault(device, now())
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    async with fleet.following_losses():
        if not await fleet.target.restart_gateway():
            watching.cancel()
            return {}
        await _all_back(fleet)
        # Longer than the grace: whoever is to be shown as gone has been by then.
        await asyncio.sleep(12.0)
    watching.cancel()
    await fleet.quiet()
    flaps = 0
    for device in fleet.sampled:
        device.catch_up()
        for _, message in device.arrivals:
            shown = [*message.get("Peers", []), *message.get("PeersChangedPatch", []), *message.get("PeersChanged", [])]
            flaps += sum(peer.get("Online") is False for peer in shown)
    await fleet.prove()
    away = [device.map_at - at for device, at in lost.items()]
    return {
        "flaps_seen": flaps, "reconnected": len(away), "away_p50_s": median(away), "away_longest_s": max(away),
        "took_s": max(device.map_at for device in fleet.devices) - start,
    }  # fmt: skip


async def cold_start(fleet: Fleet) -> Figures:
    """All hang up; the server starts again with its nodes in the database; one device wants its map."""
    fleet.hang_up()
    if not await fleet.target.restart():
        return {}
    start = getattr(fleet.target, "started", now())
    device = fleet.devices[0]
    while True:
        try:
            await device.reconnect(attempts=1)
            await asyncio.wait_for(device.has_map.wait(), 30)
            break
        except (OSError, RuntimeError):
            await asyncio.sleep(0.02)
        except Exception:
            if now() - start > 60:
                raise
            await asyncio.sleep(0.02)
    took = device.map_at - start
    cpu = fleet.target.account.cpu()
    await asyncio.gather(*(other.reconnect(1.0) for other in fleet.devices[1:]))
    await asyncio.gather(*(asyncio.wait_for(other.has_map.wait(), 60) for other in fleet.devices))
    await fleet.quiet()
    await fleet.prove()
    return {"first_map_s": took, "cpu_until_then_s": cpu}


async def slow_reader(fleet: Fleet, seconds: float = 15.0) -> Figures:
    """A tenth of the devices stops reading under churn; later they read again and must hold the truth."""
    quiet = await churn(fleet, seconds=seconds / 2)
    slow = [device for device in fleet.devices[5::10] if not device.sampled] + fleet.sampled[::2]
    memory = fleet.target.account.pss()
    for device in slow:
        if device.wire is not None and device.wire.transport is not None:
            device.wire.transport.pause_reading()
    movers = [device for device in fleet.devices if device not in set(slow)]
    sent: dict[str, float] = {}
    fleet.mark()
    end, reports = now() + seconds, []
    while now() < end:
        await asyncio.sleep(random.expovariate(10.0))
        mover = random.choice(movers)
        sent[_fresh(mover)] = now()
        reports.append(asyncio.ensure_future(mover.report(mover.endpoints[0])))
    await asyncio.gather(*reports)
    await asyncio.sleep(_SETTLE)
    grown = fleet.target.account.pss() - memory
    waits = []
    for device in fleet.sampled:
        if device in set(slow):
            continue
        device.catch_up()
        for arrived, message in device.arrivals:
            for peer in message.get("PeersChangedPatch", []):
                if (began := sent.get((peer.get("Endpoints") or [""])[0])) is not None:
                    waits.append((arrived - began) * 1000)
    for device in slow:
        if device.wire is not None and device.wire.transport is not None and not device.wire.lost:
            device.wire.transport.resume_reading()
    await _silence(fleet, now(), 1.0)
    await each(
        [device for device in slow if device.wire is None or device.wire.lost], lambda device: device.reconnect()
    )
    await fleet.quiet()
    await fleet.prove()
    return {
        "slow": len(slow), "growth_mib": grown / 2**20, "others_p99_ms": percentile(waits, 0.99),
        "quiet_p99_ms": quiet["p99_ms"], "p99_ratio": percentile(waits, 0.99) / quiet["p99_ms"],
    }  # fmt: skip


async def scale_exponent(fleet: Fleet, sizes: Sequence[int] = (125, 250, 500, 1000), repeats: int = 7) -> Figures:
    """How CPU per client grows with their number, for a fan-out, a join and a storm; 0 is linear in total."""
    points: dict[str, list[tuple[float, float]]] = {}
    for size in sizes:
        await fleet.grow(size)
        for name, figures, key in (
            ("fanout", await fanout_patch(fleet, repeats), "cpu_ms"),
            ("storm", await reconnect_storm(fleet), "cpu_s"),
            ("join", await join(fleet, repeats), "cpu_ms"),
        ):
            # The least of several: noise only adds.
            points.setdefault(name, []).append((size, figures.get(f"{key}_min", figures[key])))
    slopes = {f"{name}_exponent": slope([(n, cpu / n) for n, cpu in found]) for name, found in points.items()}
    return {**slopes, **{f"{name}_{n}": cpu for name, found in points.items() for n, cpu in found}}


def slope(found: Sequence[tuple[float, float]]) -> float:
    """The exponent of a growth: the slope of the logarithms."""
    points = [(log(x), log(y)) for x, y in found]
    across = sum(x for x, _ in points) / len(points)
    up = sum(y for _, y in points) / len(points)
    return sum((x - across) * (y - up) for x, y in points) / sum((x - across) ** 2 for x, _ in points)


def policy_for_all(edit: int) -> str:
    """All see all; each edit changes every filter."""
    owners = {f"tag:g{group}": ["bench@"] for group in range(GROUPS)}
    ports = ",".join(["*"]) if edit == 1 else f"1-{60000 + edit}"
    return json.dumps({"tagOwners": owners, "acls": [{"action": "accept", "src": ["*"], "dst": [f"*:{ports}"]}]})


def policy_of_groups() -> str:
    """One rule for each group, which lets it see itself."""
    owners = {f"tag:g{group}": ["bench@"] for group in range(GROUPS)}
    rules = [{"action": "accept", "src": [f"tag:g{group}"], "dst": [f"tag:g{group}:*"]} for group in range(GROUPS)]
    return json.dumps({"tagOwners": owners, "acls": rules})


SCENARIOS: dict[str, Scenario] = {
    "idle": idle,
    "fanout_patch": fanout_patch,
    "noop": noop,
    "churn": churn,
    "join": join,
    "reconnect_storm": reconnect_storm,
    "policy_change": policy_change,
    "fanout_patch_acl": fanout_patch_acl,
    "slow_reader": slow_reader,
    "gateway_restart": gateway_restart,
    "cold_start": cold_start,
}
"""In the order in which they run; each leaves the fleet whole."""
