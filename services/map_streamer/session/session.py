"""One map session: whom it serves and what it has been told. Remembers a position, never a queue."""

from __future__ import annotations

from asyncio import Task
from enum import Enum

from services.map_streamer.render import Viewer
from services.map_streamer.session.outbox import Outbox


class Stage(Enum):
    """How a session stands to the current view."""

    WAITING = "waiting"
    """It needs a full map."""
    LIVE = "live"
    """It was told all of the current view."""
    HELD = "held"
    """It was told an older view, `held`, and gets one merged delta later."""


class Session:
    """A client's stream of map responses, as its gateway opened it."""

    __slots__ = (
        "audience",
        "gateway",
        "held",
        "id",
        "node_key",
        "once",
        "opened",
        "paused",
        "stage",
        "told",
        "viewer",
        "whole",
    )

    def __init__(
        self, gateway: Gateway, id_: int, viewer: Viewer, node_key: bytes, *, once: bool, opened: float
    ) -> None:
        self.gateway = gateway
        self.id = id_
        self.viewer = viewer
        self.node_key = node_key
        self.once = once
        self.opened = opened
        """Wall clock seconds, to say which of two sessions of a node is the newer."""
        self.stage = Stage.WAITING
        self.held = 0
        self.audience: tuple[Gateway, int, bool, bool] | None = None
        """Those with whom it is told the same while it is live; kept by the roster."""
        self.paused = False
        self.told = False
        """Whether it was ever sent anything."""
        self.whole = False
        """Whether its full maps name no frames, because its gateway could not keep them."""

    @property
    def ready(self) -> bool:
        """Whether it may be sent what it lacks."""
        return not self.paused and not self.gateway.outbox.congested


class Gateway:
    """One attached gateway: its sessions and its outbox."""

    __slots__ = ("id", "opening", "outbox", "sessions")

    def __init__(self, gateway_id: str, outbox: Outbox) -> None:
        self.id = gateway_id
        self.outbox = outbox
        self.sessions: dict[int, Session] = {}
        self.opening: dict[int, Task[None]] = {}
        """Sessions whose node is still being looked up."""
