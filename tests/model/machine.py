"""What may happen, in any order, and what must be true after each step."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.map_streamer.tailnet import broadcaster
from services.shared.access.compiled import ALLOW_ALL, Alias, AliasKind, CompiledPolicy, Grant, NetworkAccess
from services.shared.keys import DiscoKey
from tests.bench.load.http2 import WIDE
from tests.fakes.change_logs import make_user
from tests.model.device import Device, Manner
from tests.model.truth import STUN_PREFIX
from tests.model.world import REPLICAS, USERS, World

MOST = 24
"""Devices at a time: more would make steps dear, and show nothing that these do not."""

_ANY_PORT = (NetworkAccess(),)
_USERS = [Alias(AliasKind.USER, f"user{number}@example.com") for number in USERS]
_TAG = Alias(AliasKind.TAG, "tag:server")
_SUBNET = Alias(AliasKind.PREFIXES, "10.2.0.0/16", ("10.2.0.0/16",))
_WEB = (NetworkAccess(protocols=(6,), ports=((443, 443),)),)
POLICIES = [
    ALLOW_ALL,
    CompiledPolicy(grants=(Grant((_USERS[0],), (_USERS[0],), _ANY_PORT),)),
    CompiledPolicy(grants=(Grant((_USERS[1], _USERS[2]), (_TAG,), _ANY_PORT), Grant((_USERS[0],), (_SUBNET,), _WEB))),
    CompiledPolicy(
        grants=(
            Grant((Alias(AliasKind.MEMBER),), (Alias(AliasKind.SELF),), _ANY_PORT),
            Grant((_TAG,), (_USERS[2],), _ANY_PORT),
        )
    ),
    CompiledPolicy(grants=(Grant((Alias(AliasKind.ANY),), (Alias(AliasKind.ANY),), _WEB),)),
    CompiledPolicy(),
]

manners = st.builds(
    Manner,
    zstd=st.booleans(),
    window=st.sampled_from([WIDE, 65535, 4000, 300]),
    high_water=st.sampled_from([64 << 10, 2000, 100]),
    version=st.sampled_from([113, 130]),
)
pauses = st.sampled_from([0.0, 0.0, 0.001, 0.004, 0.02, 0.3, 1.0])
numbers = st.integers(1, 59999)
replicas = st.integers(0, REPLICAS - 1)


@dataclass
class Tally:
    """What was done, over all lives of this process: a model that does nothing finds nothing."""

    lives: int = 0
    steps: int = 0
    settled: int = 0
    compared: int = 0


tally = Tally()


class SteadyTime:
    """Stands for `time` in the broadcaster: each reading costs the same, so slices end alike each time."""

    def __init__(self) -> None:
        self._now = itertools.count()

    def perf_counter(self) -> float:
        """Five sessions fill a slice."""
        return next(self._now) * broadcaster.SLICE / 5

    process_time = perf_counter


class Tailnet(RuleBasedStateMachine):
    """A tailnet's life."""

    def __init__(self) -> None:
        super().__init__()
        self.world: World | None = None
        self._time = vars(broadcaster)["time"]
        vars(broadcaster)["time"] = SteadyTime()

    def teardown(self) -> None:
        vars(broadcaster)["time"] = self._time
        if self.world is not None:
            try:
                self.settle()
            finally:
                tally.lives += 1
                tally.compared += self.world.compared
                self.world.close()

    @property
    def _world(self) -> World:
        assert self.world is not None
        return self.world

    def _device(self, number: int) -> Device:
        """One of them, whatever the number."""
        known = sorted(self._world.devices)
        return self._world.devices[known[number % len(known)]]

    @initialize(
        seed=st.integers(0, 1 << 32),
        at_first=st.sampled_from([2, 5, 12]),
        narrow=st.booleans(),
        manner=manners,
    )
    def begin(self, seed: int, at_first: int, narrow: bool, manner: Manner) -> None:
        """A tailnet with some devices; `narrow` makes gateways forget frames and let few maps in."""
        bounds: dict[str, Any] = {"frame_bytes": 20_000, "initial_map_bytes": 4000} if narrow else {}
        self.world = World(seed, **bounds)
        for number in range(at_first):
            self.world.join(USERS[number % len(USERS)], manner if number % 2 else Manner())
        self.world.wait(0.5)

    # Nodes

    @precondition(lambda self: len(self._world.devices) < MOST)
    @rule(user_id=st.sampled_from(USERS), manner=manners, pause=pauses)
    def join(self, user_id: int, manner: Manner, pause: float) -> None:
        self._world.join(user_id, manner)
        self._world.wait(pause)

    @precondition(lambda self: len(self._world.devices) > 2)
    @rule(which=numbers, pause=pauses)
    def leave(self, which: int, pause: float) -> None:
        self._world.remove(self._device(which))
        self._world.wait(pause)

    @rule(which=numbers, port=numbers, pause=pauses)
    def move(self, which: int, port: int, pause: float) -> None:
        """The device reports another endpoint, over its gateway."""
        self._world.do(self._device(which).report, f"192.0.2.1:{port}")
        self._world.wait(pause)

    @rule(which=numbers, port=numbers, stun=st.booleans(), pause=pauses)
    def move_elsewhere(self, which: int, port: int, stun: bool, pause: float) -> None:
        """The record's endpoint changes behind the gateways' back."""
        device = self._device(which)
        if stun:
            node = self._world.node(device)
            kept = [one for one in node.endpoints if not one.startswith(STUN_PREFIX)]
            found = [*kept, f"{STUN_PREFIX}1:{port}"]
            self._world.change(device, endpoints=found, endpoint_types=[1] * len(kept) + [2])
        else:
            self._world.change(device, endpoints=[f"192.0.2.1:{port}"], endpoint_types=[1])
        self._world.wait(pause)

    @rule(which=numbers, what=st.integers(0, 7), value=numbers, pause=pauses)
    def edit(self, which: int, what: int, value: int, pause: float) -> None:
        """Something else about a node changes."""
        world, device = self._world, self._device(which)
        node = world.node(device)
        match what:
            case 0:
                world.change(device, home_derp=900 + value % 3)
            case 1:
                world.change(device, given_name=f"name{value}")
            case 2:
                world.change(device, tags=[] if node.tags else ["tag:server"])
            case 3:
                routes = ["10.2.0.0/16", "0.0.0.0/0", "::/0"][: 1 + 2 * (value % 2)]
                world.change(device, advertised_routes=routes, approved_routes=routes if value % 3 else [])
            case 4:
                device.disco_key = DiscoKey(world.random.randbytes(32))
                world.change(device, disco_key=device.disco_key.raw)
            case 5:
                world.change(device, expired=not node.expired)
            case 6:
                world.change(device, hostinfo=b'{"OS":"linux","Hostname":"h%d"}' % value)
            case 7:
                world.rotate(device)
        world.wait(pause)

    @rule(which=numbers, seconds=st.sampled_from([0.01, 2.0, 90.0]))
    def expire(self, which: int, seconds: float) -> None:
        self._world.expire_in(self._device(which), seconds)

    @rule(user_id=st.sampled_from(USERS), suspended=st.booleans(), name=numbers, pause=pauses)
    def edit_user(self, user_id: int, suspended: bool, name: int, pause: float) -> None:
        user = make_user(user_id, suspended=suspended, display_name=f"U{name}")
        self._world.run(self._world.registry.put_user(user))
        self._world.wait(pause)

    @rule(policy=st.sampled_from(POLICIES), pause=pauses)
    def edit_policy(self, policy: CompiledPolicy, pause: float) -> None:
        self._world.run(self._world.policy.put(policy))
        self._world.wait(pause)

    # Devices

    @rule(which=numbers, pause=pauses)
    def flap(self, which: int, pause: float) -> None:
        self._world.do(self._device(which).flap)
        self._world.wait(pause)

    @rule(which=numbers, pause=pauses)
    def go(self, which: int, pause: float) -> None:
        self._world.do(self._device(which).go)
        self._world.wait(pause)

    @rule(which=numbers, pause=pauses)
    def come(self, which: int, pause: float) -> None:
        self._world.do(self._device(which).come)
        self._world.wait(pause)

    @rule(which=numbers, pause=pauses)
    def roam(self, which: int, pause: float) -> None:
        self._world.do(self._device(which).roam)
        self._world.wait(pause)

    @rule(which=numbers)
    def read_nothing(self, which: int) -> None:
        device = self._device(which)
        if device.connected and device.cable is not None:
            device.cable.clogged = True

    @rule(which=numbers, pause=pauses)
    def read_again(self, which: int, pause: float) -> None:
        device = self._device(which)
        if device.connected and device.cable is not None and device.cable.clogged:
            self._world.do(device.cable.unclog)
        self._world.wait(pause)

    @rule(pause=pauses)
    def storm(self, pause: float) -> None:
        """Everybody is cut off at once."""
        for device in self._world.devices.values():
            self._world.do(device.flap)
        self._world.wait(pause)

    # The rest of the world

    @rule(word=st.sampled_from(["registry", "policy", "map_streamer"]), count=st.integers(1, 3))
    def lose_messages(self, word: str, count: int) -> None:
        self._world.bus.lose[word] = count

    @rule(policy=st.sampled_from(POLICIES), which=numbers, port=numbers)
    def lose_a_policy_in_noise(self, policy: CompiledPolicy, which: int, port: int) -> None:
        """The news of a policy is lost while the registry is never quiet: the policy must count all the same."""
        world = self._world
        world.bus.lose["policy"] = 1
        world.run(world.policy.put(policy))
        for second in range(12):
            world.change(self._device(which), endpoints=[f"192.0.2.2:{port + second}"], endpoint_types=[1])
            world.wait(1.0)
        for streamer in world.streamers:
            if streamer.service is not None:
                assert streamer.service.tailnet.position.policy == world.policy.log.last

    @rule(delay=st.sampled_from([0.0, 0.003, 0.05]))
    def slow_bus(self, delay: float) -> None:
        self._world.bus.delay = delay

    @rule()
    def interrupt_bus(self) -> None:
        self._world.bus.interrupt()

    @rule(policy=st.booleans())
    def trim(self, policy: bool) -> None:
        """A change log forgets what is old."""
        (self._world.policy if policy else self._world.registry).log.trim()

    @rule(which=replicas, pause=pauses)
    def lose_streamer(self, which: int, pause: float) -> None:
        self._world.lose_streamer(which)
        self._world.wait(pause)

    @rule(which=replicas, pause=pauses)
    def start_streamer(self, which: int, pause: float) -> None:
        self._world.start_streamer(which)
        self._world.wait(pause)

    @rule(which=replicas, planned=st.booleans(), pause=pauses)
    def restart_gateway(self, which: int, planned: bool, pause: float) -> None:
        self._world.lose_gateway(which, planned=planned)
        self._world.wait(pause)

    @rule(seconds=st.sampled_from([0.1, 6.0, 12.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self._world.wait(seconds)

    @rule()
    def settle(self) -> None:
        """All works: everybody holds the truth of now."""
        tally.settled += 1
        self._world.settle()

    @invariant()
    def what_was_told_was_true(self) -> None:
        if self.world is not None:
            tally.steps += 1
            self.world.check()
