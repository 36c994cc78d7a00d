"""The current view and some before it, so that a session which lags or moves here gets a difference, not a full map."""

from __future__ import annotations

from collections import OrderedDict

from services.map_streamer.snapshot import Cursor, View

_ENTRIES = 200_000
"""Bound on the table entries that old views keep, summed over the views."""


class History:
    """A ring of views. Bounded by their number, and that by the number of nodes."""

    def __init__(self, view: View) -> None:
        self.current = view
        self._views: OrderedDict[int, View] = OrderedDict({view.rev: view})

    def push(self, view: View) -> None:
        """Make this the current view."""
        self.current = view
        self._views[view.rev] = view
        limit = min(64, max(4, _ENTRIES // max(1, len(view.snapshot.nodes))))
        while len(self._views) > limit:
            self._views.popitem(last=False)

    def at(self, rev: int) -> View | None:
        """The view with this number, if it is still here."""
        return self._views.get(rev)

    def holding(self, held: Cursor) -> tuple[View, frozenset[int] | None] | None:
        """The newest view that is no newer than a cursor, and what may have been told between it and the next.

        Another replica folds in other windows, so a cursor that it gave may lie between two views of ours. Nodes that
        were touched in between are then in doubt. None when the ring does not reach back, or when a policy or user
        changed in between: then only a full map is sure.
        """
        following: View | None = None
        for view in reversed(self._views.values()):
            if view.cursor == held:
                return self._oldest_at(held), None
            if held.covers(view.cursor):
                if following is None or following.opaque:
                    return None
                return view, following.touched
            following = view
        return None

    def _oldest_at(self, cursor: Cursor) -> View:
        return next(view for view in self._views.values() if view.cursor == cursor)
