"""Publishes on the bus what `ledger` committed, and the newest record again for `timer`.

The log is the truth: after a lost message readers fetch from the log.
"""

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
    """Publisher of one tailnet's records."""

    def __init__(self, bus: Bus, store: Store, tailnet: TailnetId) -> None:
        self._bus = bus
        self._store = store
        self._tailnet = tailnet

    async def publish(self, records: Sequence[Record]) -> None:
        """Publish records that were just committed."""
        for part in parts(records, lambda record: len(record.payload), _MAX_RECORDS, _MAX_BYTES):
            batch = common_pb2.ChangeBatch(
                tailnet_id=self._tailnet,
                service=SERVICE,
                records=[common_pb2.LogRecord(seq=record.seq, payload=record.payload) for record in part],
            )
            await self._bus.publish(topic(self._tailnet, SERVICE), batch.SerializeToString())

    async def nudge(self) -> None:
        """Publish the newest record again, so that readers detect records lost by a crash between commit and publish.

        Raises:
            StoreUnavailableError: the database cannot be read.
        """
        position = await self._store.position()
        if position:
            await self.publish((await self._store.records(position - 1, 1))[:1])
