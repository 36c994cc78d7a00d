"""Services, names with virtual addresses of their own, and the tagged nodes that serve them. Indexed, never scanned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from services.shared.access.compiled import Alias, ApprovalRule
from services.shared.access.inputs import AccessService
from services.shared.access.ranges import Spans, coalesce, point


@dataclass(frozen=True, slots=True)
class Service:
    """A service with the values derived from its record alone."""

    name: str
    addresses: tuple[str, ...]
    """Its virtual addresses, IPv4 first."""
    places: tuple[int, ...]
    """The same as numbers of `ranges`."""
    spans: Spans
    tags: tuple[str, ...]
    hosts: tuple[int, ...] | None
    """The nodes that an administrator approved; None leaves it to the policy."""


def service(described: AccessService) -> Service | None:
    """Derive a service's addresses. Returns None if it has none, because it then grants nothing."""
    addresses: list[str] = []
    places: list[int] = []
    for address in (described.ipv4, described.ipv6):
        try:
            places.append(point(address))
        except ValueError:
            continue
        addresses.append(address)
    if not places:
        return None
    spans = coalesce((place, place) for place in places)
    return Service(described.name, tuple(addresses), tuple(places), spans, described.tags, described.hosts)


class ServiceDirectory:
    """The services of one snapshot, and the nodes that serve them."""

    def __init__(
        self,
        described: Iterable[AccessService],
        approvers: Sequence[ApprovalRule],
        tagged: Collection[int],
        nodes_of: Callable[[Alias], Iterable[int]],
    ) -> None:
        """`tagged` are the nodes that may serve at all; `nodes_of` returns the nodes with a name as identity."""
        made = sorted((one for item in described if (one := service(item)) is not None), key=lambda one: one.name)
        self.by_name = {one.name: one for one in made}
        self.hosts: dict[str, tuple[int, ...]] = {}
        by_node: dict[int, list[Service]] = defaultdict(list)
        for one in self.by_name.values():
            named = one.hosts
            if named is None:
                named = tuple(node_id for alias in _aliases(approvers, one) for node_id in nodes_of(alias))
            self.hosts[one.name] = hosts = tuple(sorted({node_id for node_id in named if node_id in tagged}))
            for node_id in hosts:
                by_node[node_id].append(one)
        self.by_node = {node_id: tuple(served) for node_id, served in by_node.items()}

    def served_by(self, node_id: int) -> tuple[Service, ...]:
        """Return the services that a node serves, by name; () for most."""
        return self.by_node.get(node_id, ())


def _aliases(approvers: Sequence[ApprovalRule], one: Service) -> dict[Alias, None]:
    """Return the aliases auto-approved as hosts of a service, by its name or one of its tags."""
    subjects = {one.name, *one.tags}
    return {alias: None for entry in approvers if entry.subject in subjects for alias in entry.approvers}
