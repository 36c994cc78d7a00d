"""Publishes committed records. The log is the truth: a lost message costs a reader one question to its owner."""

from __future__ import annotations

from collections.abc import Sequence

from smartscale.common.v1 import common_pb2

from services.registry.store import Record, Store
from services.shared.bus import Bus
from services.shared.changelog import topic
from services.shared.ids import TailnetId
from services.shared.rpc.parts import parts

SERVICE = "registry"
_MAX_BYTES = 512 << 10
_MAX_RECORDS = 1000


class Outbox:
    """Publishes the records of one tailnet."""

    def __init__(self, bus: Bus, store: Store, tailnet: TailnetId) -> None:
        self._bus = bus
        self._store = store
        self._tailnet = tailnet

    async def publish(self, records: Sequence[Record]) -> None:
        """Send records that were just committed."""
        for part in parts(records, lambda record: len(record.payload), _MAX_RECORDS, _MAX_BYTES):
            batch = common_pb2.ChangeBatch(
                tailnet_id=self._tailnet,
                service=SERVICE,
                records=[common_pb2.LogRecord(seq=record.seq, payload=record.payload) for record in part],
            )
            await self._bus.publish(topic(self._tailnet, SERVICE), batch.SerializeToString())

    async def nudge(self) -> None:
        """Send the newest record again, so that readers notice what a crash between commit and publish kept from them.

        Raises:
            StoreUnavailableError: the database cannot be read.
        """
        position = await self._store.position()
        if position:
            await self.publish((await self._store.records(position - 1, 1))[:1])
