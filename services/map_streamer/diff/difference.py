"""The difference between two views. Peer changes are computed once for each pair of old and new class of viewers."""

from __future__ import annotations

from collections.abc import Iterable

from services.map_streamer.diff.node import WHOLE, Change, compare, concerns_self
from services.map_streamer.snapshot import View


class PeerDelta:
    """The peer changes to send to members of a class; ids ascending, no id in two of the lists."""

    __slots__ = ("named", "patched", "removed", "whole")

    def __init__(
        self, removed: tuple[int, ...] = (), whole: tuple[int, ...] = (), patched: tuple[int, ...] = ()
    ) -> None:
        self.removed = removed
        self.whole = whole
        self.patched = patched
        self.named: frozenset[int] = frozenset((*removed, *whole, *patched))
        """All node ids in the three lists."""


NOTHING = PeerDelta()


class Difference:
    """Everything that changed from an old view to a new one.

    With `uncertain`, the client's state lies somewhere between the old view and the next newer one here: the nodes
    touched in between are sent whole, or as removed.
    """

    def __init__(
        self,
        old: View,
        new: View,
        touched: Iterable[int] | None = None,
        uncertain: frozenset[int] | None = None,
    ) -> None:
        self.old = old
        self.new = new
        self.uncertain = uncertain
        self.reshaped = old.visibility is not new.visibility
        before, after = old.snapshot, new.snapshot
        if touched is None:
            touched = before.nodes.keys() | after.nodes.keys() if before.nodes is not after.nodes else ()
        self.changes: dict[int, Change] = {}
        self.noticed: set[int] = set()
        """Nodes whose own notices changed."""
        for node_id in touched:
            was, is_ = before.nodes.get(node_id), after.nodes.get(node_id)
            if was is not None and is_ is not None and was is not is_:
                change = compare(was, is_)
                if change is not None:
                    self.changes[node_id] = change
                if was.notices != is_.notices:
                    self.noticed.add(node_id)
        self.users = self._changed_users()
        self.relays = (
            before.relays is not after.relays
            or before.regions != after.regions
            or before.policy.derp_map != after.policy.derp_map
        )
        self.dns = before.dns_records != after.dns_records or before.settings.dns != after.settings.dns
        self._recapped: set[int] = set()
        if self.reshaped:
            caps_before, caps_after = old.visibility.peer_caps, new.visibility.peer_caps
            self._recapped = {
                node_id
                for node_id in caps_before.keys() | caps_after.keys()
                if caps_before.get(node_id) != caps_after.get(node_id)
            } | (old.visibility.without_ipv4 ^ new.visibility.without_ipv4)
        self._peers: dict[tuple[int, int], PeerDelta] = {}

    def _changed_users(self) -> frozenset[int]:
        before, after = self.old.snapshot.users, self.new.snapshot.users
        if before is after:
            return frozenset()
        return frozenset(user_id for user_id, user in after.items() if before.get(user_id) is not user)

    @property
    def alike(self) -> bool:
        """True if all viewers of a class are sent the same delta, except nodes that changed themselves."""
        return not (self.reshaped or self.users or self.dns or self.uncertain is not None)

    @property
    def empty(self) -> bool:
        """True if no session has to be sent anything."""
        return not (
            self.reshaped or self.changes or self.noticed or self.users or self.relays or self.dns or self.uncertain
        )

    def concerns(self, class_: int) -> bool:
        """Return whether unchanged members of a class have to be sent anything; valid only if `alike`."""
        return self.relays or not self.changes.keys().isdisjoint(self.new.visibility.visible_set(class_))

    def peers(self, node_id: int) -> PeerDelta:
        """Return the peer changes for a viewer; they may include the viewer itself, which the caller leaves out."""
        return self.peers_between(*self.classes(node_id))

    def peers_between(self, old_class: int, new_class: int) -> PeerDelta:
        """Return the peer changes for viewers that were in `old_class` and are in `new_class`."""
        found = self._peers.get((old_class, new_class))
        if found is None:
            found = (
                self._peers_of_reshaped(old_class, new_class) if self.reshaped else self._peers_of_changes(new_class)
            )
            if self.uncertain is not None:
                found = self._with_uncertain(found, new_class)
            self._peers[old_class, new_class] = found
        return found

    def classes(self, node_id: int) -> tuple[int, int]:
        """Return the viewer's class in the old view and in the new one."""
        return self.old.visibility.class_of(node_id), self.new.visibility.class_of(node_id)

    def _peers_of_changes(self, class_: int) -> PeerDelta:
        if not self.changes:
            return NOTHING
        visible = self.new.visibility.visible_set(class_)
        seen = sorted([node_id for node_id in self.changes if node_id in visible])
        if not seen:
            return NOTHING
        return PeerDelta(
            (),
            tuple(node_id for node_id in seen if self.changes[node_id] is WHOLE),
            tuple(node_id for node_id in seen if self.changes[node_id] is not WHOLE),
        )

    def _peers_of_reshaped(self, old_class: int, new_class: int) -> PeerDelta:
        old, new = self.old.visibility, self.new.visibility
        before, after = old.visible_set(old_class), new.visible_set(new_class)
        if old.class_hides_ipv4(old_class) != new.class_hides_ipv4(new_class):
            return PeerDelta(tuple(sorted(before - after)), tuple(sorted(after)))
        both = before & after
        whole = set(after - before)
        patched = []
        for node_id, change in self.changes.items():
            if node_id in both:
                if change is WHOLE:
                    whole.add(node_id)
                else:
                    patched.append(node_id)
        whole |= self._recapped & both
        for node_id in (old.routers | new.routers) & both:
            if old.routes(old_class, node_id) != new.routes(new_class, node_id):
                whole.add(node_id)
        return PeerDelta(
            tuple(sorted(before - after)),
            tuple(sorted(whole)),
            tuple(sorted(node_id for node_id in patched if node_id not in whole)),
        )

    def _with_uncertain(self, known: PeerDelta, new_class: int) -> PeerDelta:
        uncertain = self.uncertain or frozenset()
        visible = self.new.visibility.visible_set(new_class)
        whole = set(known.whole) | (uncertain & visible)
        return PeerDelta(
            tuple(sorted(set(known.removed) | (uncertain - visible))),
            tuple(sorted(whole)),
            tuple(node_id for node_id in known.patched if node_id not in whole),
        )

    def own_record(self, node_id: int) -> bool:
        """Return whether to send the viewer its own node."""
        if self.uncertain is not None or concerns_self(self.changes.get(node_id)):
            return True
        if not self.reshaped:
            return False
        old, new = self.old.visibility, self.new.visibility
        return (
            old.own_caps(node_id) != new.own_caps(node_id)
            or old.own_routes(node_id) != new.own_routes(node_id)
            or (node_id in old.without_ipv4) != (node_id in new.without_ipv4)
        )

    def notices(self, node_id: int) -> bool:
        """Return whether to send the viewer its notices."""
        return self.uncertain is not None or node_id in self.noticed

    def packet_filter(self, node_id: int) -> bytes | None:
        """Return the viewer's packet filter as JSON if it changed, else None."""
        rules = self.new.visibility.packet_filter(node_id) if self.reshaped or self.uncertain is not None else None
        if rules is None or (self.uncertain is None and self.old.visibility.packet_filter(node_id) == rules):
            return None
        return rules

    def ssh_runs(self, node_id: int) -> tuple[bytes, ...] | None:
        """Return the viewer's SSH rules in runs if they changed, else None."""
        runs = self.new.visibility.ssh_runs(node_id) if self.reshaped or self.uncertain is not None else None
        if runs is None or (self.uncertain is None and self.old.visibility.ssh_runs(node_id) == runs):
            return None
        return runs
