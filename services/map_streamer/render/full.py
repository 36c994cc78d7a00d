"""A whole map as parts: the viewer's own head, what its class shares, and frames of up to 32 peers in order of id."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator

from services.map_streamer.render.frames import COMMA, Frame, FrameCache, stored
from services.map_streamer.render.nodes import Fragment

FRAME_NODES = 32
Part = bytes | Frame

_END = {True: stored(b"]}"), False: b"]}"}
_END_WITHOUT_PEERS = {True: stored(b"}"), False: b"}"}
_COMMA = {True: COMMA, False: b","}


def chunks(ids: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Cut ascending ids into runs of at most 32 along fixed borders of the id space.

    So a node that comes or goes alters one run only. The width of a run follows from how dense the ids are.
    """
    if not ids:
        return []
    span = ids[-1] - ids[0] + 1
    width = FRAME_NODES
    while width * len(ids) < FRAME_NODES * span:
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
    """The peers of one class of viewers, cut into frames; valid for one view."""

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
        self._size = len(ids)
        self._fragment = fragment
        self._cache = cache
        self._zstd = zstd
        self._fragments = [tuple(fragment(node_id) for node_id in chunk) for chunk in self._chunks]

    def peers(self, viewer_id: int) -> Iterator[Part]:
        """The parts of the peer list without its brackets; nothing when there is no peer."""
        own = bisect_right(self._starts, viewer_id) - 1
        first = True
        for number, chunk in enumerate(self._chunks):
            if number == own and viewer_id in chunk:
                rest = [self._fragment(node_id).json for node_id in chunk if node_id != viewer_id]
                part: Part = self._cache.encoder.encode(b",".join(rest), zstd=self._zstd) if rest else b""
            else:
                fragments = self._fragments[number]
                key = tuple(fragment.serial for fragment in fragments)
                part = self._cache.get(key, (fragment.json for fragment in fragments), zstd=self._zstd)
            if part:
                if not first:
                    yield _COMMA[self._zstd]
                first = False
                yield part

    def assemble(self, head: bytes, shared: Frame, viewer_id: int) -> list[Part]:
        """The whole message. `head` ends before the shared members, which end before the brace or `"Peers"`."""
        zstd, encode = self._zstd, self._cache.encoder.encode
        peers = list(self.peers(viewer_id))
        out: list[Part] = [encode(head, zstd=zstd), shared]
        if peers:
            out += [encode(b',"Peers":[', zstd=zstd), *peers, _END[zstd]]
        else:
            out.append(_END_WITHOUT_PEERS[zstd])
        return _joined(out)


def _joined(parts: list[Part]) -> list[Part]:
    """Neighbouring bytes made one part."""
    out: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and out and isinstance(out[-1], bytes):
            out[-1] = out[-1] + part
        else:
            out.append(part)
    return out
