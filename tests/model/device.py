"""A device of the model: comes, listens, reports, clogs, roams; comes back by itself as clients do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from gateway.noise import ControlKey
from services.shared.keys import DiscoKey, NodeKey, PrivateKey
from tests.bench.load.http2 import WIDE
from tests.bench.load.wire import Wire
from tests.fakes.netmap import Netmap
from tests.model.cable import Cable, Near
from tests.model.replicas import CONTROL, Gateway

VERSION = 130
BACK_AFTER = 0.3
UNKNOWN = 404


@dataclass(frozen=True, slots=True)
class Manner:
    """How a device speaks and reads."""

    zstd: bool = True
    window: int = WIDE
    high_water: int = 64 << 10
    version: int = VERSION


class Device:
    """One node's client."""

    def __init__(self, number: int, manner: Manner, choose: Callable[[], Gateway | None]) -> None:
        """`choose` says at which gateway it finds itself when it dials."""
        self.number, self.manner, self._choose = number, manner, choose
        self.machine = PrivateKey.clamp(os.urandom(32))
        self.node_key, self.disco_key = NodeKey(os.urandom(32)), DiscoKey(os.urandom(32))
        self.netmap = Netmap()
        self.gateway: Gateway | None = None
        self.cable: Cable | None = None
        self._wire: Wire | None = None
        self._left_behind: list[Cable] = []
        self.wanted = False
        self.error: BaseException | None = None
        """What it could not take, as a real client could not."""
        self.maps = 0
        self.removed = False
        """Whether the registry has forgotten it."""
        self._asked_with: NodeKey | None = None

    @property
    def public(self) -> bytes:
        """Its machine key."""
        return ControlKey(self.machine).public.raw

    @property
    def connected(self) -> bool:
        """Whether it has a connection that it knows nothing bad of."""
        return self.cable is not None and not self.cable.over

    @property
    def left_behind(self) -> bool:
        """Whether a gateway believes in a connection of it that it has forgotten."""
        return any(not cable.over for cable in self._left_behind)

    # What it does

    def come(self) -> None:
        """Be there from now on."""
        self.wanted = True
        if not self.connected:
            self._dial()

    def go(self) -> None:
        """Be away from now on."""
        self.wanted = False
        self.flap()

    def flap(self) -> None:
        """Lose the connection; if it is wanted it comes back."""
        if self.cable is not None:
            self.cable.abort()

    def roam(self) -> None:
        """Dial anew and forget the former connection, which nobody ends: its gateway still believes in it."""
        if self.cable is not None and not self.cable.over:
            self.cable.clogged = True
            self._left_behind.append(self.cable)
        self.wanted = True
        self._dial()

    def report(self, *endpoints: str) -> None:
        """Say where it is reached now."""
        if self.connected and self._wire is not None:
            body = {"OmitPeers": True, "Endpoints": endpoints, "EndpointTypes": [1] * len(endpoints)}
            self._wire.ask("/machine/map", self._body(**body)).add_done_callback(_look)

    def close(self) -> None:
        """End everything."""
        self.wanted = False
        for cable in [*self._left_behind, *([self.cable] if self.cable else [])]:
            cable.abort()

    # How

    def _body(self, **fields: object) -> bytes:
        keys = {"Version": self.manner.version, "NodeKey": str(self.node_key), "DiscoKey": str(self.disco_key)}
        return orjson.dumps({**keys, "Compress": "zstd" if self.manner.zstd else "", **fields})

    def _dial(self) -> None:
        gateway = self._choose()
        if gateway is None:
            asyncio.get_running_loop().call_later(BACK_AFTER, self._again)
            return
        wire: Wire | None = None

        def message(_size: int, data: bytes) -> None:
            if self._wire is wire:
                self._take(data)

        def lost() -> None:
            if self._wire is wire:
                self._lost()

        wire = self._wire = Wire(
            self.machine, ControlKey(CONTROL).public, self.manner.version, b"model", message, lost,
            keep=True, window=self.manner.window,
        )  # fmt: skip
        self.gateway, self.netmap = gateway, Netmap()
        self.cable = Cable(gateway.tunnels, wire, self.manner.high_water)
        wire.connection_made(Near(self.cable.sent, self.cable.abort))  # type: ignore[arg-type]
        wire.ready.add_done_callback(lambda done: self._ask(wire) if not done.exception() else None)

    def _ask(self, wire: Wire) -> None:
        if self._wire is wire and not wire.lost:
            self._asked_with = self.node_key
            wire.open_map(self._body(Stream=True, KeepAlive=True))

    def _take(self, data: bytes) -> None:
        try:
            message = self.netmap.receive(data, zstd=self.manner.zstd)
            if not message.get("KeepAlive"):
                self.maps += 1
            dismissed = message.get("Node", {}).get("StableID") == "gone"
            if dismissed and self._asked_with == self.node_key and not self.removed:
                self.error = self.error or AssertionError("a node that exists was told that it does not")
        except BaseException as error:
            self.error = self.error or error

    def _lost(self) -> None:
        unknown = self._wire is not None and self._wire.map_status == UNKNOWN
        if unknown and self._asked_with == self.node_key and not self.removed:
            self.error = self.error or AssertionError("a node that exists was told that it does not")
        if self.wanted:
            asyncio.get_running_loop().call_later(BACK_AFTER, self._again)

    def _again(self) -> None:
        if self.wanted and not self.connected:
            self._dial()


def _look(answer: asyncio.Future[tuple[int, bytes]]) -> None:
    """A report whose connection went is one that never was."""
    if not answer.cancelled():
        answer.exception()
