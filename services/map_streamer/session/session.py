"""One map session: its node, and the view that it was sent. Keeps a position, never a queue."""

from __future__ import annotations

from asyncio import Task
from enum import Enum

from services.map_streamer.render import Viewer
from services.map_streamer.session.outbox import Outbox


class Stage(Enum):
    """State of a session relative to the current view."""

    WAITING = "waiting"
    """It needs a full map."""
    LIVE = "live"
    """It was sent the current view."""
    BEHIND = "behind"
    """It was sent an older view, `rev`, and gets one merged delta later."""


class Session:
    """A client's stream of map responses, as its gateway opened it."""

    __slots__ = (
        "audience",
        "gateway",
        "id",
        "node_key",
        "once",
        "opened",
        "paused",
        "rev",
        "sent_any",
        "stage",
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
        """Wall clock seconds, to find the newer of two sessions of a node."""
        self.stage = Stage.WAITING
        self.rev = 0
        self.audience: tuple[Gateway, int, bool, bool] | None = None
        """The audience that it belongs to while it is live; set by the roster."""
        self.paused = False
        self.sent_any = False
        """Whether it was ever sent a map response."""
        self.whole = False
        """Whether its full maps carry their frames inline, because its gateway could not keep them."""

    @property
    def ready(self) -> bool:
        """Whether it can be sent messages now."""
        return not self.paused and not self.gateway.outbox.congested


class Gateway:
    """One attached gateway: its sessions and its outbox."""

    __slots__ = ("id", "opening", "outbox", "sessions")

    def __init__(self, gateway_id: str, outbox: Outbox) -> None:
        self.id = gateway_id
        self.outbox = outbox
        self.sessions: dict[int, Session] = {}
        self.opening: dict[int, Task[None]] = {}
        """Tasks of sessions whose node is being looked up, by session id."""
