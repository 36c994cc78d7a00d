"""Revocation: on each registry change on the bus, verifies its nodes again and closes connections without access.

Access ends when a node is deleted or expires, its key is rotated, or its owner is suspended.

A registry change only names the keys to verify again; the registry's response decides. So a change that is lost, late
or repeated does no harm, and a periodic sweep over all connections finds missed ones. While the registry does not
respond, connected clients stay connected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from google.protobuf.message import DecodeError
from smartscale.registry.v1 import registry_pb2

from services.derp.registry_client import RegistryAdmission
from services.derp.relay import Relay
from services.shared.background import Background
from services.shared.bus import Bus
from services.shared.changelog import Batch, batches, topic
from services.shared.ids import TailnetId
from services.shared.keys import NodeKey
from services.shared.telemetry import Telemetry, get_logger

log = get_logger(__name__)

SWEEP_SECONDS = 300.0
_AT_ONCE = 16


class Revocation:
    """Verifies connected node keys again, and closes the connections of those that the registry refuses."""

    def __init__(
        self,
        bus: Bus,
        tailnet: TailnetId,
        admission: RegistryAdmission,
        relay: Relay,
        *,
        sweep_seconds: float = SWEEP_SECONDS,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`sweep_seconds` is the interval between two verifications of all connections."""
        self._bus = bus
        self._topic = topic(tailnet, "registry")
        self._admission = admission
        self._relay = relay
        self._sweep_seconds = sweep_seconds
        self._due: dict[bytes, None] = {}
        self._wake = asyncio.Event()
        self._background = Background(telemetry or Telemetry())

    def start(self) -> None:
        """Start following changes and sweeping."""
        self._background.keep(self._follow, "revocation changes")
        self._background.keep(self._verify_due, "revocation checks")
        self._background.keep(self._sweep, "revocation sweep")

    async def stop(self) -> None:
        """Stop following changes and sweeping."""
        await self._background.stop()

    async def _follow(self) -> None:
        async with self._bus.subscribe(self._topic) as messages:
            async for batch in batches(messages):
                self._queue(self._connected() if batch.lossy else self._named(batch))

    def _named(self, batch: Batch) -> Iterable[bytes]:
        try:
            changes = [registry_pb2.Change.FromString(record.payload) for record in batch.records]
        except DecodeError:
            log.warning("change record cannot be read", topic=self._topic)
            return self._connected()
        if any(change.user_put.suspended for change in changes):
            return self._connected()
        return [key for change in changes for key in self._affected(change)]

    def _affected(self, change: registry_pb2.Change) -> list[bytes]:
        kind = change.WhichOneof("fact")
        if kind == "node_removed":
            return list(self._admission.keys_of(change.node_removed))
        if kind == "node_put":
            node = change.node_put
            return [key for key in self._admission.keys_of(node.id) if node.expired or key != node.node_key]
        return []

    def _connected(self) -> Iterable[bytes]:
        return {client.raw for client in self._relay.clients() if not client.mesh}

    def _queue(self, keys: Iterable[bytes]) -> None:
        self._due.update(dict.fromkeys(keys))
        if self._due:
            self._wake.set()

    async def _verify_due(self) -> None:
        while True:
            await self._wake.wait()
            batch = [self._due.popitem()[0] for _ in range(min(_AT_ONCE, len(self._due)))]
            if not self._due:
                self._wake.clear()
            await asyncio.gather(*(self._verify(key) for key in batch))

    async def _verify(self, key: bytes) -> None:
        if await self._admission.ask_again(NodeKey(key)) is False and key in self._relay.active:
            self._relay.counters.revoked += 1
            self._relay.close_key(key, "the node may no longer use this relay")

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds)
            self._queue(self._connected())
