"""Bounds on the memory of one HTTP/2 connection, and on the work that it may cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in bytes or counts. They know no clock: the owner calls `Connection.sweep` at an even pace."""

    max_streams: int = 250
    """Go's default; clients since 1.90 queue requests behind a limit, so it must be well above 1."""
    max_body: int = 1 << 20
    body_limit: Callable[[str], int] | None = None
    """Returns the bytes that the body of a target may have beyond `max_body`, or 0; called once per request."""
    max_buffered_bodies: int = 4 << 20
    """Total of all incomplete bodies of one connection, without those that may exceed `max_body`."""
    max_header_list: int = 16 << 10
    """Announced to the peer; a longer header list is answered with 431."""
    max_header_block: int = 32 << 10
    """Encoded size, over HEADERS and all CONTINUATION frames."""
    max_continuations: int = 32
    max_control_frames: int = 1000
    """Answers to PING and SETTINGS, resets and the like that may wait for a peer who does not read."""
    budget: int = 1000
    """Units of work without a request (PING, PRIORITY, small DATA, long header blocks, cancelled requests) between two
    sweeps."""
    reset_cost: int = 10
    """Charge for a request that is cancelled before its answer ("rapid reset", CVE-2023-44487)."""


HARD_HEADER_LIST = 64 << 10
"""Bytes of a header list at which decoding stops; this loses the compression state, so the connection ends."""
