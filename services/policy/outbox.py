"""Publishes committed records. The log is the truth: a lost message costs a reader one question to its owner."""

from __future__ import annotations

from smartscale.common.v1 import common_pb2

from services.policy.model.version import LogEntry
from services.shared.bus import Bus
from services.shared.changelog import topic
from services.shared.ids import TailnetId

SERVICE = "policy"


class Outbox:
    """Publishes the records of one tailnet."""

    def __init__(self, bus: Bus, tailnet: TailnetId) -> None:
        self._bus = bus
        self._tailnet = tailnet

    async def publish(self, record: LogEntry) -> None:
        """Send a record that was just committed."""
        batch = common_pb2.ChangeBatch(
            tailnet_id=self._tailnet,
            service=SERVICE,
            records=[common_pb2.LogRecord(seq=record.seq, payload=record.payload)],
        )
        await self._bus.publish(topic(self._tailnet, SERVICE), batch.SerializeToString())
