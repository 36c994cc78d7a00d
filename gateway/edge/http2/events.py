"""Events of a connection that its owner must handle."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A whole request; `target` is the `:path` as it came, `headers` have no pseudo-headers."""

    stream_id: int
    method: str
    target: str
    authority: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request beyond a limit; the owner should answer it with `status` (413 or 431)."""

    stream_id: int
    status: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The stream ended before its answer was complete; nothing can be sent on it."""

    stream_id: int
    code: int


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The peer makes no more requests on this connection; those under way continue."""

    code: int


@dataclass(frozen=True, slots=True)
class Pong:
    """The peer answered a `ping`."""


Event = RequestReceived | RequestRefused | StreamReset | GoingAway | Pong
