"""Primary routers of an imported installation stay primary, whichever router is the oldest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.registry.importing.planning import plan
from services.registry.model.node import Node
from services.registry.model.state import State
from services.registry.model.term import ElectionReason
from services.registry.wiring import settings_of
from services.shared.access.compiled import ALLOW_ALL
from services.shared.config.model import Config, PrefixesConfig
from services.shared.ids import NodeId
from services.shared.imported import ImportedNode, ImportedUser, Installation
from services.shared.keys import DiscoKey, MachineKey, NodeKey

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROUTE = "10.30.0.0/24"
SETTINGS = settings_of(Config(prefixes=PrefixesConfig(v4="100.64.0.0/10", v6="fd7a:115c:a1e0::/48")))


def router(number: int, *primary: str, approved: bool = True) -> ImportedNode:
    return ImportedNode(
        id=number,
        machine_key=MachineKey(bytes([number]) * 32),
        node_key=NodeKey(bytes([number + 100]) * 32),
        disco_key=DiscoKey.zero(),
        given_name=f"router{number}",
        user_id=1,
        created_at=NOW - timedelta(days=100 - number),
        announced_routes=(ROUTE,),
        approved_routes=(ROUTE,) if approved else (),
        primary_routes=primary,
    )


def imported(found: Installation, state: State | None = None) -> list[Node]:
    found.users.append(ImportedUser(id=1, name="alice"))
    return list(plan(found, ALLOW_ALL, SETTINGS, NOW, state=state or State()).nodes)


def installation(*nodes: ImportedNode) -> Installation:
    return Installation(release="0.25.1", database="sqlite", schema="x", nodes=list(nodes))


def primaries(nodes: list[Node]) -> dict[str, list[tuple[str, ElectionReason]]]:
    return {
        node.given_name: [(route, term.reason) for term in node.primary_terms for route in term.routes]
        for node in nodes
    }


def test_the_younger_of_two_routers_stays_primary() -> None:
    found = installation(router(1), router(2, ROUTE))
    assert primaries(imported(found)) == {"router1": [], "router2": [(ROUTE, ElectionReason.IMPORTED)]}
    assert not [problem for problem in found.problems.all() if "primary" in str(problem)]


def test_a_primary_that_cannot_serve_is_passed_over_and_reported() -> None:
    found = installation(router(1), router(2, ROUTE, approved=False))
    assert primaries(imported(found)) == {"router1": [], "router2": []}
    assert [problem for problem in found.problems.all() if "router2 was its primary router" in str(problem)]


def test_a_route_that_has_a_primary_in_the_tailnet_keeps_it() -> None:
    (present,) = imported(installation(router(7, ROUTE)))
    state = State([present], position=1)
    found = installation(router(2, ROUTE))
    assert primaries(imported(found, state)) == {"router2": []}
    assert state.routers.primary(ROUTE) == NodeId(present.id)
