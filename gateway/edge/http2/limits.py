"""The bounds on what one connection may hold or make us do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """All in bytes or in counts; none has a clock, the owner calls `Connection.refill` now and then."""

    max_streams: int = 250
    """Go's default; clients since 1.90 queue requests behind a limit, so it must be well above 1."""
    max_body: int = 1 << 20
    body_limit: Callable[[str], int] | None = None
    """Says for a target how long its body may be where that is more than `max_body`; asked once a request."""
    max_buffered_bodies: int = 4 << 20
    """All incomplete bodies of one connection together, without those that may be longer than `max_body`."""
    max_header_list: int = 16 << 10
    """Announced to the peer; a longer list is answered with 431."""
    max_header_block: int = 32 << 10
    """Encoded, over HEADERS and all CONTINUATION frames."""
    max_continuations: int = 32
    max_control_frames: int = 1000
    """Answers to PING and SETTINGS, resets and the like that wait for a peer who does not read."""
    budget: int = 1000
    """Frames that cost us and bring nothing (PING, PRIORITY, empty DATA, cancelled requests…) between two refills."""
    reset_cost: int = 10
    """What a request that is cancelled before its answer takes from the budget ("rapid reset", CVE-2023-44487)."""


HARD_HEADER_LIST = 64 << 10
"""Where decoding stops; the shared state of both sides is lost then, so the connection ends."""
