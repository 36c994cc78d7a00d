"""Announces sessions opened here to the other replicas, and ends ours that a newer one elsewhere supersedes.

Best effort: after a lost message an old stream stays open until its gateway detects that its client is gone.
"""

from __future__ import annotations

import asyncio
import uuid

import msgspec

from services.map_streamer.tailnet import SessionAdmission, Tailnet
from services.shared.bus import Bus, Message
from services.shared.ids import TailnetId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_BATCH = 1000
_WAITING = 100_000


class _Opened(msgspec.Struct, frozen=True):
    """Sessions opened on one replica: node ids, and the wall clock times in seconds."""

    replica: str
    sessions: list[tuple[int, float]]


_decoder = msgspec.json.Decoder(_Opened)


class Replicas:
    """Publisher and receiver of announcements of opened sessions of one tailnet."""

    def __init__(self, tailnet_id: TailnetId, tailnet: Tailnet, admission: SessionAdmission, bus: Bus) -> None:
        self._topic = f"smartscale.{tailnet_id}.map_streamer.sessions"
        self._tailnet = tailnet
        self._bus = bus
        self._name = uuid.uuid4().hex
        self._unsent: dict[int, float] = {}
        self._event = asyncio.Event()
        admission.opened = self.opened

    def opened(self, node_id: int, when: float) -> None:
        """Queue the announcement of a session opened here at `when`, in wall clock seconds."""
        if len(self._unsent) < _WAITING:
            self._unsent[node_id] = when
            self._event.set()

    async def run(self) -> None:
        """Announce sessions and listen for announcements, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish())
            group.create_task(self._listen())

    async def _publish(self) -> None:
        while True:
            await self._event.wait()
            self._event.clear()
            batch, self._unsent = list(self._unsent.items()), {}
            for start in range(0, len(batch), _BATCH):
                payload = msgspec.json.encode(_Opened(self._name, batch[start : start + _BATCH]))
                await self._bus.publish(self._topic, payload)

    async def _listen(self) -> None:
        async with self._bus.subscribe(self._topic) as messages:
            async for message in messages:
                if isinstance(message, Message):
                    self._apply(message.payload)

    def _apply(self, payload: bytes) -> None:
        try:
            opened = _decoder.decode(payload)
        except msgspec.DecodeError:
            log.warning("bus message cannot be read", topic=self._topic)
            return
        if opened.replica == self._name:
            return
        for node_id, when in opened.sessions:
            self._tailnet.roster.supersede(node_id, before=when)
