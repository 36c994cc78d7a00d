"""Tells other replicas which nodes opened a new session here, and ends ours when a node went to another one.

A courtesy, not a truth: a lost message leaves an old stream open until its gateway notices that nobody reads it.
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
    """Sessions that began on one replica: node ids, and when in wall clock seconds."""

    replica: str
    sessions: list[tuple[int, float]]


_decoder = msgspec.json.Decoder(_Opened)


class Replicas:
    """The news between the replicas of one tailnet's map streamer."""

    def __init__(self, tailnet_id: TailnetId, tailnet: Tailnet, admission: SessionAdmission, bus: Bus) -> None:
        self._topic = f"smartscale.{tailnet_id}.map_streamer.sessions"
        self._tailnet = tailnet
        self._bus = bus
        self._name = uuid.uuid4().hex
        self._news: dict[int, float] = {}
        self._event = asyncio.Event()
        admission.opened = self.opened

    def opened(self, node_id: int, when: float) -> None:
        """A new session began here."""
        if len(self._news) < _WAITING:
            self._news[node_id] = when
            self._event.set()

    async def run(self) -> None:
        """Announce sessions and listen for announcements, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell())
            group.create_task(self._listen())

    async def _tell(self) -> None:
        while True:
            await self._event.wait()
            self._event.clear()
            news, self._news = list(self._news.items()), {}
            for start in range(0, len(news), _BATCH):
                payload = msgspec.json.encode(_Opened(self._name, news[start : start + _BATCH]))
                await self._bus.publish(self._topic, payload)

    async def _listen(self) -> None:
        async with self._bus.subscribe(self._topic) as messages:
            async for message in messages:
                if isinstance(message, Message):
                    self._take(message.payload)

    def _take(self, payload: bytes) -> None:
        try:
            opened = _decoder.decode(payload)
        except msgspec.DecodeError:
            log.warning("bus message cannot be read", topic=self._topic)
            return
        if opened.replica == self._name:
            return
        for node_id, when in opened.sessions:
            self._tailnet.roster.supersede(node_id, before=when)
