"""Views: a snapshot with what follows from it for viewers: visible peers, filters, capabilities, routes. Cached.

A `Visibility` depends on `Access` alone, so it outlives endpoint changes. A `View` is a visibility and the records.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property
from typing import Any

import orjson

from services.map_streamer.compact_bytes import compact_copy
from services.map_streamer.snapshot.fold import Snapshot
from services.map_streamer.snapshot.records import Cursor, NodeRecord
from services.shared.access.evaluator import Access
from services.shared.access.ssh import SshCheck

OUTSIDE = -1
"""The class of nodes that the evaluator does not know: they see no node and no node sees them."""

NO_FILTER = b"[]"

Routes = tuple[tuple[str, ...], tuple[str, ...]]


def _cap_map(caps: dict[str, Any]) -> bytes:
    """Encode capabilities, a flag as an empty array: both client families accept it, and null is no array."""
    return compact_copy(
        orjson.dumps({name: values if values is not None else [] for name, values in sorted(caps.items())})
    )


def ssh_json(runs: Iterable[bytes]) -> bytes:
    """Return an `SSHPolicy` as JSON from encoded runs of rules."""
    return b'{"rules":[' + b",".join(runs) + b"]}"


class Visibility:
    """The results of one `Access`, encoded, and cached per class where possible."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._visible: dict[int, tuple[int, ...]] = {OUTSIDE: ()}
        self._visible_sets: dict[int, frozenset[int]] = {OUTSIDE: frozenset()}
        self._filters: dict[Hashable, bytes] = {}
        self._filter_of: dict[int, bytes] = {}
        self._ssh: dict[Hashable, tuple[bytes, ...]] = {}
        self._ssh_runs: dict[int, tuple[object, bytes]] = {}
        self._own_caps: dict[int, bytes] = {}
        self._routes: dict[tuple[int, int], Routes] = {}
        self._caps: dict[Hashable, bytes] = {}

    @cached_property
    def _nodes(self) -> dict[int, int]:
        return {node_id: number for number in self._access.classes() for node_id in self._access.members_of(number)}

    def class_of(self, node_id: int) -> int:
        """Return the node's class, or `OUTSIDE`."""
        return self._nodes.get(node_id, OUTSIDE)

    def visible(self, class_: int) -> tuple[int, ...]:
        """Return the ids that members of the class see, ascending. A member may be included; it is not its own peer."""
        found = self._visible.get(class_)
        if found is None:
            seen = self._access.visible_classes(class_)
            found = tuple(sorted(node_id for other in seen for node_id in self._access.members_of(other)))
            self._visible[class_] = found
        return found

    def visible_set(self, class_: int) -> frozenset[int]:
        """Return the ids of `visible` as a set."""
        found = self._visible_sets.get(class_)
        if found is None:
            found = self._visible_sets[class_] = frozenset(self.visible(class_))
        return found

    @cached_property
    def routers(self) -> frozenset[int]:
        """Nodes with routes, whose record may differ between viewers of different classes."""
        return frozenset(node_id for node_id in self._nodes if self._access.has_routes(node_id))

    @cached_property
    def peer_caps(self) -> dict[int, bytes]:
        """`CapMap` as peers see it, for the few nodes that have one."""
        nodes = self._nodes if self._access.gives_attributes else self.routers
        return {node_id: _cap_map(caps) for node_id in nodes if (caps := self._access.peer_caps(node_id))}

    @cached_property
    def without_ipv4(self) -> frozenset[int]:
        """Nodes that have IPv4 switched off."""
        if not self._access.hides_ipv4_of_some:
            return frozenset()
        return frozenset(node_id for node_id in self._nodes if self._access.hides_ipv4(node_id))

    @cached_property
    def special(self) -> frozenset[int]:
        """Nodes whose JSON for peers depends on more than their record: routes, capabilities, hidden IPv4."""
        return self.routers | self.peer_caps.keys() | self.without_ipv4

    def class_hides_ipv4(self, class_: int) -> bool:
        """Return whether members of the class are sent no IPv4 addresses."""
        return class_ != OUTSIDE and self._access.members_of(class_)[0] in self.without_ipv4

    def routes(self, class_: int, peer_id: int) -> Routes:
        """Return the allowed and the primary routes of a peer, as sent to other members of the class."""
        if peer_id not in self.routers:
            return (), ()
        found = self._routes.get((class_, peer_id))
        if found is None:
            viewer = next((one for one in self._access.members_of(class_) if one != peer_id), None)
            found = ((), ()) if viewer is None else self._routes_of(viewer, peer_id)
            self._routes[class_, peer_id] = found
        return found

    def _routes_of(self, viewer: int, peer_id: int) -> Routes:
        allowed = tuple(self._access.allowed_routes(viewer, peer_id))
        return allowed, tuple(self._access.primary_routes(viewer, peer_id)) if allowed else ()

    def own_routes(self, node_id: int) -> Routes:
        """Return the routes in a node's own record."""
        if node_id not in self.routers:
            return (), ()
        return tuple(self._access.self_routes(node_id)), tuple(self._access.self_primary_routes(node_id))

    def own_caps(self, node_id: int) -> bytes:
        """Return the `CapMap` of a node's own record, as JSON."""
        found = self._own_caps.get(node_id)
        if found is None:
            found = self._own_caps[node_id] = self._find_own_caps(node_id)
        return found

    def _find_own_caps(self, node_id: int) -> bytes:
        if node_id not in self._nodes:
            return b"{}"
        key = self._access.self_caps_key(node_id)
        found = self._caps.get(key)
        if found is None:
            found = self._caps[key] = _cap_map(self._access.self_caps(node_id))
        return found

    def packet_filter(self, node_id: int) -> bytes:
        """Return the packet filter of a node as a JSON array; the same object for nodes with equal rules."""
        found = self._filter_of.get(node_id)
        if found is None:
            found = self._filter_of[node_id] = self._find_filter(node_id)
        return found

    def _find_filter(self, node_id: int) -> bytes:
        if node_id not in self._nodes:
            return NO_FILTER
        key = self._access.filter_key(node_id)
        found = self._filters.get(key)
        if found is None:
            found = self._filters[key] = compact_copy(orjson.dumps(self._access.packet_filter(node_id)))
        return found

    def ssh_runs(self, node_id: int) -> tuple[bytes, ...]:
        """Return the node's SSH rules in runs, each the inside of a JSON array and stored once for all nodes."""
        if node_id not in self._nodes:
            return ()
        key = self._access.ssh_key(node_id)
        found = self._ssh.get(key)
        if found is None:
            found = self._ssh[key] = tuple(map(self._encode_run, self._access.ssh_runs(node_id)))
        return found

    def _encode_run(self, run: Sequence[dict[str, Any]]) -> bytes:
        if id(run) not in self._ssh_runs:
            # The run is stored too, so that no other object gets its id.
            self._ssh_runs[id(run)] = run, orjson.dumps(run)[1:-1]
        return self._ssh_runs[id(run)][1]

    def ssh_policy(self, node_id: int) -> bytes:
        """Return the node's SSH policy as JSON; without a rule it denies all. Not cached: it may name every user."""
        return ssh_json(self.ssh_runs(node_id))

    def ssh_check(self, source_id: int, destination_id: int, local_user: str) -> SshCheck | None:
        """Return the check that the policy asks for before an SSH session between two nodes, or None."""
        return self._access.ssh_check(source_id, destination_id, local_user)


class View:
    """A snapshot and its visibility; `rev` numbers the views of one process."""

    __slots__ = ("opaque", "rev", "snapshot", "time", "touched", "visibility")

    def __init__(
        self,
        snapshot: Snapshot,
        before: View | None = None,
        touched: frozenset[int] = frozenset(),
        *,
        opaque: bool = False,
        time: int = 0,
    ) -> None:
        self.snapshot = snapshot
        self.rev: int = 0 if before is None else before.rev + 1
        self.touched = touched
        """Nodes named by any fact since the previous view, also those that were added and removed again."""
        self.opaque = opaque
        """True if policy or users changed since the previous view: visibility may have changed several times."""
        self.time = time
        """Time of the fold in microseconds since 1970: keys with an earlier expiry are expired in this view."""
        keep = before is not None and before.snapshot.access is snapshot.access
        self.visibility: Visibility = before.visibility if before is not None and keep else Visibility(snapshot.access)

    @property
    def cursor(self) -> Cursor:
        """The cursor of the snapshot."""
        return self.snapshot.cursor

    def node(self, node_id: int) -> NodeRecord:
        """Return a node of the snapshot."""
        return self.snapshot.nodes[node_id]

    def owners(self, class_: int) -> frozenset[int]:
        """Return the owners of all nodes that members of the class see."""
        nodes = self.snapshot.nodes
        return frozenset(nodes[node_id].owner for node_id in self.visibility.visible(class_))
