"""The current view and some before it, so that a session which lags or moves here gets a difference, not a full map."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from services.map_streamer.snapshot import Cursor, View

_ENTRIES = 100_000
"""Bound on the table entries that old views keep, summed over the views."""
_SIGHTS = 8_000
"""Bound on the nodes of the different sights that old views keep: one costs about five times a table of nodes."""
_CURSORS = 4096
"""Bound on the cursors that one entry remembers."""


class _Entry:
    """A view, and the positions at which views stood that differ from it in nothing that anybody is told."""

    __slots__ = ("cursors", "murmur", "opaque", "view")

    def __init__(self, view: View) -> None:
        self.view = view
        self.cursors: dict[Cursor, None] = {view.cursor: None}
        self.murmur: frozenset[int] = frozenset()
        """Nodes that were touched in between."""
        self.opaque = False

    @property
    def since(self) -> Cursor:
        """The oldest of its positions."""
        return next(iter(self.cursors))


class History:
    """A ring of views. Bounded by their number, and that by the number of nodes.

    A view that tells nobody anything, such as when only a STUN mapping moved, takes the place of the one before.
    """

    def __init__(self, view: View) -> None:
        self.current = view
        self._entries: OrderedDict[int, _Entry] = OrderedDict({view.rev: _Entry(view)})

    def push(self, view: View) -> None:
        """Make this the current view."""
        known, self.current = self.current.sight, view
        self._entries[view.rev] = _Entry(view)
        limit = min(64, max(4, _ENTRIES // max(1, len(view.snapshot.nodes))))
        while len(self._entries) > limit:
            self._entries.popitem(last=False)
        if view.sight is not known:
            self._forget_sights(self.sights)

    @property
    def sights(self) -> int:
        """How many different sights are kept, with the current one; at least three."""
        return max(3, _SIGHTS // max(1, len(self.current.snapshot.nodes)))

    def _forget_sights(self, limit: int) -> None:
        """Keep only so many of those; the views of the older ones go too."""
        sights: set[int] = set()
        for number, entry in enumerate(reversed(self._entries.values())):
            sights.add(id(entry.view.sight))
            if len(sights) > limit:
                for _ in range(len(self._entries) - number):
                    self._entries.popitem(last=False)
                return

    def replace(self, view: View) -> None:
        """Make this the current view; nobody has anything to hear, so it goes under the number of the one before."""
        entry = self._entries[self.current.rev]
        view.rev = self.current.rev
        entry.view = self.current = view
        entry.murmur |= view.touched
        entry.opaque |= view.opaque
        entry.cursors[view.cursor] = None
        if len(entry.cursors) > _CURSORS:
            del entry.cursors[entry.since]

    def at(self, rev: int) -> View | None:
        """The view with this number, if it is still here."""
        entry = self._entries.get(rev)
        return None if entry is None else entry.view

    def holding(self, held: Cursor) -> tuple[View, frozenset[int] | None] | None:
        """A view that a cursor knows, and what may have been told besides.

        Another replica folds in other windows, and may hear of the two logs in another order, so a cursor that it gave
        may lie between two views of ours, or beside several: it is surely passed only at a view that covers it. Nodes
        that were touched until then are in doubt. None when the ring does not reach back or so far, or when a policy or
        user changed in between: then only a full map is sure.
        """
        later: list[_Entry] = []
        for entry in self._entries.values():
            if held in entry.cursors:
                return entry.view, None
        for entry in reversed(self._entries.values()):
            if held.covers(entry.since):
                doubt = _touched_until(held, entry, reversed(later))
                return None if doubt is None else (entry.view, doubt)
            later.append(entry)
        return None


def _touched_until(held: Cursor, begin: _Entry, later: Iterable[_Entry]) -> frozenset[int] | None:
    """Nodes that were touched from the begin of an entry to where the cursor is covered; None when not only nodes."""
    doubt = begin.murmur
    if begin.opaque:
        return None
    if begin.view.cursor.covers(held):
        return doubt
    for entry in later:
        doubt |= entry.view.touched
        if entry.view.opaque:
            return None
        if entry.since.covers(held):
            return doubt
        doubt |= entry.murmur
        if entry.opaque:
            return None
        if entry.view.cursor.covers(held):
            return doubt
    return None
