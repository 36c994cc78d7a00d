"""Assembles a full map of parts: the viewer's own head, members its class shares, frames of up to 32 peers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from services.map_streamer.render.frames import Frame, FrameCache, stored
from services.map_streamer.render.nodes import Fragment

FRAME_NODES = 32
Part = bytes | Frame

_PEERS = {True: stored(b',"Peers":['), False: b',"Peers":['}
_END = {True: stored(b"]}"), False: b"]}"}
_END_WITHOUT_PEERS = {True: stored(b"}"), False: b"}"}


def chunks(ids: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Cut ascending ids into runs of at most 32, at fixed multiples in the id space.

    A node that is added or removed alters one run only. The width of a run depends on the density of the ids.
    """
    if not ids:
        return []
    span = ids[-1] - ids[0] + 1
    width = FRAME_NODES
    while 2 * width * len(ids) <= FRAME_NODES * span:
        width *= 2
    out: list[tuple[int, ...]] = []
    run: list[int] = []
    for node_id in ids:
        if run and (len(run) == FRAME_NODES or node_id // width != run[0] // width):
            out.append(tuple(run))
            run = []
        run.append(node_id)
    out.append(tuple(run))
    return out


class Layout:
    """The peers of one class of viewers, cut into frames; valid for one view.

    Each frame but the first begins with the comma that separates it from the one before.
    """

    def __init__(
        self,
        ids: tuple[int, ...],
        fragment: Callable[[int], Fragment],
        cache: FrameCache,
        *,
        zstd: bool,
    ) -> None:
        self._chunks = chunks(ids)
        self._starts = [chunk[0] for chunk in self._chunks]
        self._fragments = [tuple(fragment(node_id) for node_id in chunk) for chunk in self._chunks]
        self._frames: list[Frame | None] = [None] * len(self._chunks)
        self._cache = cache
        self._zstd = zstd

    def _frame(self, number: int) -> Frame:
        frame = self._frames[number]
        if frame is None or not frame.kept:
            fragments = self._fragments[number]
            key = number > 0, tuple(fragment.serial for fragment in fragments)
            pieces = (fragment.json for fragment in fragments)
            frame = self._cache.get(key, pieces, zstd=self._zstd, lead=b"," if number else b"")
            self._frames[number] = frame
            if frame not in fragments[0].frames:
                for fragment in fragments:
                    fragment.joined(frame)
        return frame

    def _without(self, number: int, viewer_id: int, *, first: bool) -> bytes:
        """Encode one run without the viewer, for this message only; empty if the viewer is its only node."""
        pairs = zip(self._chunks[number], self._fragments[number], strict=True)
        rest = b",".join(fragment.json for node_id, fragment in pairs if node_id != viewer_id)
        if not rest:
            return b""
        return self._cache.encoder.encode(rest if first else b"," + rest, zstd=self._zstd)

    def peers(self, viewer_id: int) -> list[Part]:
        """Return the parts of the peer list without its brackets; empty if there is no peer."""
        own = bisect_right(self._starts, viewer_id) - 1
        if own < 0 or viewer_id not in self._chunks[own]:
            return [self._frame(number) for number in range(len(self._chunks))]
        parts: list[Part] = [self._frame(number) for number in range(own)]
        rest = self._without(own, viewer_id, first=own == 0)
        following = own + 1
        if rest:
            parts.append(rest)
        elif own == 0 and len(self._chunks) > 1:
            parts.append(self._without(1, viewer_id, first=True))
            following = 2
        parts += [self._frame(number) for number in range(following, len(self._chunks))]
        return parts

    def assemble(self, head: bytes, shared: Frame, viewer_id: int) -> list[Part]:
        """Return the parts of the message: `head`, then the members of `shared`, then the peers."""
        zstd = self._zstd
        peers = self.peers(viewer_id)
        out: list[Part] = [self._cache.encoder.encode(head, zstd=zstd), shared]
        out += [_PEERS[zstd], *peers, _END[zstd]] if peers else [_END_WITHOUT_PEERS[zstd]]
        return _joined(out)


def _joined(parts: list[Part]) -> list[Part]:
    """Join adjacent byte parts into one."""
    out: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and out and isinstance(out[-1], bytes):
            out[-1] = out[-1] + part
        else:
            out.append(part)
    return out
