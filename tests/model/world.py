"""Everything that the model moves, and the comparison of what devices hold with the truth."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from smartscale.policy.v1 import policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types

from services.shared.config.processes import GatewayConfig
from services.shared.keys import DiscoKey, NodeKey
from services.shared.rpc import LocalServer
from tests.fakes.change_logs import changed, make_node, make_user
from tests.model.device import Device, Manner
from tests.model.logs import GRACE, LAPSE, ModelPolicy, ModelRegistry, WeakBus
from tests.model.loop import LoopClock, VirtualLoop
from tests.model.replicas import Gateway, Streamer
from tests.model.truth import Truth, differences, held

T = TypeVar("T")
USERS = (1, 2, 3)
REPLICAS = 2
PATIENCE = 40.0
"""Seconds after which all news must have arrived, whatever was lost: far above each time-out on the way."""
NARROW_PATIENCE = 130.0
"""The same where a gateway lets few full maps in at a time: one that nobody reads may take the place of another for
as long as it takes to open (30 s) and to be given up as slow (60 s)."""
LOST_AFTER = 3 * GatewayConfig().check_interval.total_seconds()
"""Seconds after which a gateway has given up a connection whose other end is no more: it looks once in a while, asks
at the look at which it heard nothing since the one before, and cuts at the next."""


class World:
    """Two gateways and two map streamers over one registry and one policy, on a loop of its own."""

    def __init__(self, seed: int, *, frame_bytes: int = 128 << 20, initial_map_bytes: int = 64 << 20) -> None:
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.random = random.Random(seed)
        self._patience = PATIENCE if initial_map_bytes > 1 << 20 else NARROW_PATIENCE
        self._bounds = {"frame_bytes": frame_bytes, "initial_map_bytes": initial_map_bytes}
        self.clock = LoopClock(self.loop)
        self.bus = WeakBus()
        self.registry = ModelRegistry(self.bus, self.clock.now)
        self.policy = ModelPolicy(self.bus)
        self._logs = LocalServer()
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(self.registry, self._logs)  # type: ignore[no-untyped-call]
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(self.policy, self._logs)  # type: ignore[no-untyped-call]
        self.streamers = [Streamer(number, self._logs, self.bus, self.clock) for number in range(REPLICAS)]
        self.gateways: list[Gateway] = []
        self.devices: dict[int, Device] = {}
        self._former: list[Device] = []
        self._next = 1
        self._ends_by_time = False
        self.compared = 0
        """Netmaps that were compared while life went on."""
        self.run(self._start())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the world go on until this is done."""
        return self.loop.run_until_complete(work)

    def do(self, act: Callable[..., object], *arguments: object) -> None:
        """Do something that does not wait, inside the loop."""

        async def work() -> None:
            act(*arguments)

        self.run(work())

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.run(asyncio.sleep(seconds))

    async def _start(self) -> None:
        for user_id in USERS:
            await self.registry.put_user(make_user(user_id))
        for streamer in self.streamers:
            await streamer.start()
        for _ in range(REPLICAS):
            self.gateways.append(await self._gateway())

    async def _gateway(self) -> Gateway:
        gateway = Gateway(self.streamers, self._logs, self.clock, **self._bounds)
        gateway.start()
        return gateway

    def close(self) -> None:
        """End it."""
        self.run(self._close())
        self.loop.close()
        asyncio.set_event_loop(None)

    async def _close(self) -> None:
        for device in [*self.devices.values(), *self._former]:
            device.close()
        for gateway in self.gateways:
            await gateway.kill()
        for streamer in self.streamers:
            await streamer.kill()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    # Nodes

    def _choose(self) -> Gateway | None:
        there = [gateway for gateway in self.gateways if not gateway.gone]
        return self.random.choice(there) if there else None

    def node(self, device: Device) -> node_types.Node:
        """Its record."""
        return self.registry.nodes[device.number]

    def join(self, user_id: int, manner: Manner) -> Device:
        """A node is admitted and its device comes."""
        device = Device(self._next, manner, self._choose)
        self._next += 1
        self.devices[device.number] = device
        node = make_node(
            device.number, user_id, machine_key=device.public, node_key=device.node_key.raw,
            disco_key=device.disco_key.raw, cap_version=manner.version, online=False,
        )  # fmt: skip
        self.run(self.registry.put_node(node))
        self.do(device.come)
        return device

    def remove(self, device: Device) -> None:
        """Its node is deleted; the device stays where it is, and is told."""
        device.removed, device.wanted = True, False
        del self.devices[device.number]
        self._former.append(device)
        self.run(self.registry.remove_node(device.number))

    def change(self, device: Device, **fields: Any) -> None:
        """An administrator, or another report, changes the record."""
        self.run(self.registry.put_node(changed(self.node(device), **fields)))

    def expire_in(self, device: Device, seconds: float) -> None:
        """Its key ends then."""
        self._ends_by_time = True
        self.change(device, expiry=self.clock.now() + timedelta(seconds=seconds))

    def rotate(self, device: Device) -> None:
        """It gets another node key, as a new registration gives."""
        device.node_key, device.disco_key = NodeKey(self.random.randbytes(32)), DiscoKey(self.random.randbytes(32))
        self.change(device, node_key=device.node_key.raw, disco_key=device.disco_key.raw)

    # Replicas

    def lose_gateway(self, number: int, *, planned: bool) -> None:
        """A gateway ends; another one starts in its place."""
        gateway = self.gateways[number]
        if planned:
            self.run(gateway.stop())
        else:
            self.run(gateway.kill())
            for device in self.devices.values():
                if device.gateway is gateway:
                    self.do(device.flap)
        self.gateways[number] = self.run(self._gateway())

    def lose_streamer(self, number: int) -> None:
        """A map streamer ends."""
        self.run(self.streamers[number].kill())

    def start_streamer(self, number: int) -> None:
        """It starts again, if it ended."""
        if self.streamers[number].service is None:
            self.run(self.streamers[number].start())

    # Proof

    def truth(self, registry: int | None = None, policy: int | None = None) -> Truth:
        """What is true now, or was true at a position."""
        nodes, users = self.registry.states[self.registry.log.last if registry is None else registry]
        return Truth(nodes, users, self.policy.states[self.policy.log.last if policy is None else policy],
                     self.clock.now())  # fmt: skip

    def check(self) -> None:
        """Whatever was told so far is what was true at the position that the gateway remembers for the session."""
        for device in [*self.devices.values(), *self._former]:
            if device.error is not None:
                raise device.error
        if self._ends_by_time:
            return
        known: dict[tuple[int, int], Truth] = {}
        for device in self.devices.values():
            session = device.gateway.sessions.of_node(device.number) if device.gateway else None
            if session is None or not device.connected or device.cable is None or not device.cable.empty:
                continue
            if session.cursor is None or session.writer is None or session.writer.paused or device.netmap.node is None:
                continue
            if session.request.node_key != device.node_key:
                continue
            at = session.cursor.registry, session.cursor.policy
            if at not in known:
                known[at] = self.truth(*at)
            wrong = differences(held(device.netmap), known[at].of(device.number))
            assert not wrong, f"device {device.number} at {at}: " + "; ".join(wrong)
            self.compared += 1

    def settle(self) -> None:
        """All that was broken works again: everybody must soon hold the truth, and presence be right."""
        self.bus.lose.clear()
        self.bus.delay = 0.0
        for number in range(REPLICAS):
            self.start_streamer(number)
        for device in self.devices.values():
            if device.cable is not None and device.cable.clogged:
                self.do(device.cable.unclog)
        self._until(self._wrong, self._patience)
        # Gateways that nobody hears of any more lapse, and clients that are away are offline.
        self.wait(GRACE + LAPSE + 5.0)
        self._until(self._wrong, self._patience)
        # Who roamed and went before it was let in anew is believed to be where it was, until that connection is lost.
        lost = any(device.left_behind and not device.wanted for device in self.devices.values())
        self._until(self._misplaced, LOST_AFTER + GRACE if lost else 0.0)

    def _misplaced(self) -> list[str]:
        return [
            f"device {device.number} is {'offline' if device.wanted else 'online'}"
            for device in self.devices.values()
            if self.node(device).online != device.wanted
        ]

    def _until(self, wrong: Callable[[], list[str]], patience: float) -> None:
        end = self.loop.time() + patience
        while found := wrong():
            assert self.loop.time() < end, "; ".join(found)
            self.wait(0.5)

    def _wrong(self) -> list[str]:
        truth, found = self.truth(), []
        for device in self.devices.values():
            if device.error is not None:
                raise device.error
            if not device.wanted:
                continue
            if not device.connected:
                found.append(f"device {device.number}: not connected")
                continue
            wrong = differences(held(device.netmap), truth.of(device.number))
            found += [f"device {device.number}: {one}" for one in wrong]
        return found
