"""One map session: its viewer, its stage, and the number of the view it was last sent. Has no queue of its own."""

from __future__ import annotations

from asyncio import Task
from enum import Enum

from services.map_streamer.render import Encoding, Viewer
from services.map_streamer.session.outbox import GatewayOutbox


class SessionStage(Enum):
    """State of a session relative to the current view."""

    WAITING = "waiting"
    """Needs a full map."""
    LIVE = "live"
    """Was sent the current view."""
    BEHIND = "behind"
    """Was sent an older view, `rev`, and gets one merged delta later."""


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
        self.stage = SessionStage.WAITING
        self.rev = 0
        self.audience: tuple[Gateway, int, Encoding] | None = None
        """Its audience while it is live; set by the roster."""
        self.paused = False
        self.sent_any = False
        """True once it was sent a map response."""
        self.whole = False
        """True if its full maps carry their frames inline, because its gateway has no room to keep them."""

    @property
    def ready(self) -> bool:
        """True if messages can be sent to it now."""
        return not self.paused and not self.gateway.outbox.congested


class Gateway:
    """One attached gateway: its sessions and its outbox."""

    __slots__ = ("id", "opening", "outbox", "sessions")

    def __init__(self, gateway_id: str, outbox: GatewayOutbox) -> None:
        self.id = gateway_id
        self.outbox = outbox
        self.sessions: dict[int, Session] = {}
        self.opening: dict[int, Task[None]] = {}
        """Tasks of sessions whose node is being looked up, by session id."""
