"""The current view and some earlier ones, so that a session that is behind or moves here gets a delta."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from services.map_streamer.snapshot import Cursor, View

_ENTRIES = 100_000
"""Maximum number of table entries that old views keep, summed over the views."""
_VISIBILITIES = 8_000
"""Maximum number of nodes in the visibilities that old views keep; each costs about five times a table of nodes."""
_CURSORS = 4096
"""Maximum number of cursors that one entry keeps."""


class _Entry:
    """A view, and the cursors of the views that differ from it in nothing that is sent to clients."""

    __slots__ = ("cursors", "opaque", "quiet", "view")

    def __init__(self, view: View) -> None:
        self.view = view
        self.cursors: dict[Cursor, None] = {view.cursor: None}
        self.quiet: frozenset[int] = frozenset()
        """Nodes that were touched between those views."""
        self.opaque = False

    @property
    def since(self) -> Cursor:
        """The oldest cursor."""
        return next(iter(self.cursors))


class History:
    """A ring of views, at most 64 and fewer for large tailnets.

    A view without anything to send, for example after a changed STUN mapping, replaces the one before.
    """

    def __init__(self, view: View) -> None:
        self.current = view
        self._entries: OrderedDict[int, _Entry] = OrderedDict({view.rev: _Entry(view)})

    def push(self, view: View) -> None:
        """Make this the current view."""
        known, self.current = self.current.visibility, view
        self._entries[view.rev] = _Entry(view)
        limit = min(64, max(4, _ENTRIES // max(1, len(view.snapshot.nodes))))
        while len(self._entries) > limit:
            self._entries.popitem(last=False)
        if view.visibility is not known:
            self._trim_visibilities(self.visibilities)

    @property
    def visibilities(self) -> int:
        """Maximum number of different visibilities that are kept, the current one included; at least three."""
        return max(3, _VISIBILITIES // max(1, len(self.current.snapshot.nodes)))

    def _trim_visibilities(self, limit: int) -> None:
        """Keep the newest `limit` visibilities; drop the views of older ones."""
        visibilities: set[int] = set()
        for number, entry in enumerate(reversed(self._entries.values())):
            visibilities.add(id(entry.view.visibility))
            if len(visibilities) > limit:
                for _ in range(len(self._entries) - number):
                    self._entries.popitem(last=False)
                return

    def replace(self, view: View) -> None:
        """Make this the current view under the number of the one before, because nothing in it has to be sent."""
        entry = self._entries[self.current.rev]
        view.rev = self.current.rev
        entry.view = self.current = view
        entry.quiet |= view.touched
        entry.opaque |= view.opaque
        entry.cursors[view.cursor] = None
        if len(entry.cursors) > _CURSORS:
            del entry.cursors[entry.since]

    def at(self, rev: int) -> View | None:
        """Return the view with this number, or None if it was dropped."""
        entry = self._entries.get(rev)
        return None if entry is None else entry.view

    def view_at(self, cursor: Cursor) -> tuple[View, frozenset[int] | None] | None:
        """Return a view that a cursor has reached, and the nodes of which more may have been sent; None if unknown.

        Another replica folds in other windows and may read the two logs in another order, so its cursor may lie between
        two views of this one. It is passed for certain only at a view that covers it; nodes touched until then are
        uncertain. None: the ring does not reach far enough, or a policy or user changed in between, so that only a full
        map is correct.
        """
        later: list[_Entry] = []
        for entry in self._entries.values():
            if cursor in entry.cursors:
                return entry.view, None
        for entry in reversed(self._entries.values()):
            if cursor.covers(entry.since):
                uncertain = _touched_until(cursor, entry, reversed(later))
                return None if uncertain is None else (entry.view, uncertain)
            later.append(entry)
        return None


def _touched_until(cursor: Cursor, begin: _Entry, later: Iterable[_Entry]) -> frozenset[int] | None:
    """Return the nodes touched between an entry and the first view that covers the cursor; None: not only nodes."""
    uncertain = begin.quiet
    if begin.opaque:
        return None
    if begin.view.cursor.covers(cursor):
        return uncertain
    for entry in later:
        uncertain |= entry.view.touched
        if entry.view.opaque:
            return None
        if entry.since.covers(cursor):
            return uncertain
        uncertain |= entry.quiet
        if entry.opaque:
            return None
        if entry.view.cursor.covers(cursor):
            return uncertain
    return None
