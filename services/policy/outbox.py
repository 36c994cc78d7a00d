"""Publishes on the bus the log records that `usecases` committed.

The log is the truth: after a lost message readers fetch from the log.
"""

from __future__ import annotations

from smartscale.common.v1 import common_pb2

from services.policy.model.version import LogEntry
from services.shared.bus import Bus
from services.shared.changelog import topic
from services.shared.ids import TailnetId

SERVICE = "policy"


class Outbox:
    """Publisher of one tailnet's records."""

    def __init__(self, bus: Bus, tailnet: TailnetId) -> None:
        self._bus = bus
        self._tailnet = tailnet

    async def publish(self, record: LogEntry) -> None:
        """Publish a record that was just committed."""
        batch = common_pb2.ChangeBatch(
            tailnet_id=self._tailnet,
            service=SERVICE,
            records=[common_pb2.LogRecord(seq=record.seq, payload=record.payload)],
        )
        await self._bus.publish(topic(self._tailnet, SERVICE), batch.SerializeToString())
