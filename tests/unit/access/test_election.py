"""Who serves a prefix: never a router that cannot carry traffic, and for administrators as for clients."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from gateway.admin.calls import convert
from services.map_streamer.ingest.records import node_record, user_record
from services.map_streamer.snapshot import (
    AccessSettings,
    Cursor,
    Fact,
    NodeDue,
    NodePut,
    Snapshot,
    UserPut,
    empty,
    fold,
)
from services.registry import wire
from services.registry.model.node import Node
from services.registry.model.term import ElectionReason, PrimaryTerm
from services.registry.model.user import User
from services.shared.ids import DEFAULT_TAILNET, NodeId, UserId
from services.shared.inventory import is_suspended
from services.shared.keys import MachineKey, NodeKey

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROUTE = "10.30.0.0/24"
SETTINGS = AccessSettings()
Change = Callable[[dict[str, object]], None]


def router(number: int, **fields: object) -> Node:
    given: dict[str, object] = {
        "advertised_routes": (ROUTE,),
        "approved_routes": (ROUTE,),
        "online": True,
        "user_id": UserId(number),
        **fields,
    }
    return Node(
        id=NodeId(number),
        stable_id=f"n{number}",
        machine_key=MachineKey(bytes(31) + bytes([number])),
        node_key=NodeKey(bytes(30) + bytes([number, 1])),
        created_at=NOW - timedelta(days=10 - number),
        given_name=f"router{number}",
        ipv4=f"100.64.0.{number}",
        **given,  # type: ignore[arg-type]
    )


def shown_to_clients(nodes: list[Node], users: list[User]) -> dict[int, list[str]]:
    """Who serves by the map streamer's snapshot."""
    facts: list[Fact] = [UserPut(user_record(wire.user_to_proto(user, DEFAULT_TAILNET))) for user in users]
    facts += [NodePut(node_record(wire.node_to_proto(node, DEFAULT_TAILNET))) for node in nodes]
    access = folded(empty(SETTINGS), facts).access
    known = [node.id for node in nodes if node.id in access.directory.members]
    return {number: list(routes) for number in known if (routes := access.self_primary_routes(number))}


def folded(before: Snapshot, facts: list[Fact], now: datetime = NOW) -> Snapshot:
    return fold(before, facts, Cursor(1, 1), now, SETTINGS)


def shown_to_administrators(nodes: list[Node], users: list[User]) -> dict[int, list[str]]:
    """Who serves by the lists of the API."""
    owners = {user.id: user for user in users}
    subjects = [wire.subject_to_proto(node, is_suspended(node.tags, owners.get(node.user_id))) for node in nodes]
    return {number: routes for number, routes in convert.served(subjects, NOW).items() if routes}


@pytest.mark.parametrize(
    ("first", "suspended", "serves"),
    [
        ({}, False, 1),
        ({"expired": True, "expiry": NOW - timedelta(hours=1)}, False, 2),
        ({"expiry": NOW - timedelta(seconds=1)}, False, 2),
        ({"expired": True}, False, 2),
        ({"expiry": NOW + timedelta(hours=1)}, False, 1),
        ({"approved_routes": ()}, False, 2),
        ({"advertised_routes": ()}, False, 2),
        ({"online": False}, False, 2),
        ({}, True, 2),
        ({"tags": ("tag:router",), "user_id": UserId(0)}, True, 1),
    ],
)
def test_a_router_that_cannot_carry_traffic_is_not_elected(
    first: dict[str, object], suspended: bool, serves: int
) -> None:
    users = [User(id=UserId(n), name=f"u{n}", created_at=NOW, suspended=suspended and n == 1) for n in (1, 2)]
    nodes = [router(1, **first), router(2)]
    assert shown_to_clients(nodes, users) == {serves: [ROUTE]}
    assert shown_to_administrators(nodes, users) == {serves: [ROUTE]}


def test_nobody_serves_a_prefix_whose_only_router_has_no_key() -> None:
    users = [User(id=UserId(1), name="u1", created_at=NOW)]
    assert shown_to_clients([router(1, expired=True)], users) == {}
    assert shown_to_administrators([router(1, expired=True)], users) == {}


def test_another_router_takes_over_when_the_key_of_the_first_ends_by_itself() -> None:
    first, second = router(1, expiry=NOW + timedelta(hours=1)), router(2)
    records = [NodePut(node_record(wire.node_to_proto(node, DEFAULT_TAILNET))) for node in (first, second)]
    before = folded(empty(SETTINGS), [*records])
    after = folded(before, [NodeDue(1)], NOW + timedelta(hours=2))
    assert before.access.self_primary_routes(1) == (ROUTE,)
    assert after.access.self_primary_routes(1) == ()
    assert after.access.self_primary_routes(2) == (ROUTE,)


def test_the_elected_router_serves_though_another_is_older_or_online() -> None:
    term = PrimaryTerm(NOW, ElectionReason.OFFLINE, (ROUTE,))
    users = [User(id=UserId(n), name=f"u{n}", created_at=NOW) for n in (1, 2)]
    for nodes in (
        [router(1), router(2, primary_terms=(term,))],
        [router(1), router(2, primary_terms=(term,), online=False)],
    ):
        assert shown_to_clients(nodes, users) == {2: [ROUTE]}
        assert shown_to_administrators(nodes, users) == {2: [ROUTE]}


def test_an_elected_router_that_is_no_candidate_any_more_does_not_serve() -> None:
    term = PrimaryTerm(NOW, ElectionReason.OFFLINE, (ROUTE,))
    users = [User(id=UserId(n), name=f"u{n}", created_at=NOW) for n in (1, 2)]
    nodes = [router(1), router(2, primary_terms=(term,), approved_routes=())]
    assert shown_to_clients(nodes, users) == {1: [ROUTE]}
    assert shown_to_administrators(nodes, users) == {1: [ROUTE]}
