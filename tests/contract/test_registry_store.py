"""One suite for every store of the registry: in memory, on SQLite, on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from services.registry.model.attribute import CustomAttribute
from services.registry.model.departure import Departure, DepartureReason
from services.registry.model.fact import NodePut, NodeRemoved, RelayPut, RelayRemoved, SettingsPut, UserPut, UserRemoved
from services.registry.model.node import Node, RegisterMethod
from services.registry.model.relay import Relay
from services.registry.model.term import ElectionReason, PrimaryTerm
from services.registry.model.user import User
from services.registry.sql import SqlStore
from services.registry.sql.tables import metadata
from services.registry.store import Absence, GatewayRecord, Store, StoreUnavailableError
from services.shared.config.model import DatabaseConfig, SqliteConfig
from services.shared.db.database import create_engine
from services.shared.ids import DEFAULT_TAILNET, NodeId, UserId
from services.shared.keys import DiscoKey
from services.shared.rpc.presence import SessionsDigest, checksum_of
from services.shared.tailnet_settings import Resolver, StoredDns, TailnetSettings
from tests.contract.registry_store import CODEC, NOW, opened
from tests.fakes.registry import machine, node_key


@pytest.fixture(params=["fake", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, request, tmp_path) as made:
        yield made


def a_node(number: int, **fields: object) -> Node:
    node = Node(
        id=NodeId(number),
        stable_id=f"n{number}CNTRL",
        machine_key=machine(number),
        node_key=node_key(number),
        created_at=NOW,
        given_name=f"host-{number}",
        ipv4=f"100.64.0.{number}",
        ipv6=f"fd7a:115c:a1e0::{number}",
    )
    return replace(node, **fields)  # type: ignore[arg-type]


def a_user(number: int, name: str = "") -> User:
    return User(id=UserId(number), name=name or f"user{number}", created_at=NOW)


RELAY = Relay(region_id=900, region_code="lab", region_name="Lab", name="900a", host_name="relay.example.org")

SETTINGS = TailnetSettings(
    StoredDns(
        nameservers=(Resolver("1.1.1.1", use_with_exit_node=True),),
        split={"example.com": (Resolver("10.0.0.1"),), "none.example": ()},
        search_paths=(),
        magic_dns=False,
    ),
    key_duration_days=7,
    auto_updates=False,
    acls_externally_managed=True,
    acls_external_link="https://git.example.com",
    contacts={"support": "a@example.com"},
)


async def new_id(store: Store) -> NodeId:
    async with store.transaction() as rows:
        return NodeId(await rows.next_id("node"))


async def put(store: Store, *nodes: Node) -> None:
    async with store.transaction() as rows:
        await rows.write([NodePut(node) for node in nodes], NOW)


async def test_an_empty_store_is_at_position_zero(store: Store) -> None:
    state = await store.load()
    assert await store.position() == state.position == 0
    assert not state.nodes and not state.users and not state.relays


async def test_what_is_written_is_loaded_again_field_for_field(store: Store) -> None:
    node = a_node(
        await new_id(store),
        disco_key=DiscoKey(b"\x07" * 32),
        user_id=UserId(4),
        hostname="Bob’s \U0001f4bb",
        given_name_fixed=True,
        tags=("tag:a", "tag:b"),
        hostinfo=b'{"OS":"linux"}',
        endpoints=("203.0.113.7:41641", "[2001:db8::1]:1"),
        endpoint_types=(2, 1),
        home_derp=900,
        cap_version=113,
        expiry=NOW + timedelta(days=1, microseconds=1),
        expired=True,
        last_seen=NOW - timedelta(hours=1),
        online=True,
        ephemeral=True,
        register_method=RegisterMethod.OIDC,
        pre_auth_key_id=7,
        advertised_routes=("10.0.0.0/8",),
        approved_routes=("0.0.0.0/0", "::/0"),
        primary_terms=(
            PrimaryTerm(NOW, ElectionReason.OFFLINE, ("10.0.0.0/8", "fd00::/8"), NodeId(7)),
            PrimaryTerm(NOW + timedelta(microseconds=1), ElectionReason.PREFERRED, ("10.1.0.0/16",)),
        ),
        preferred_routes=("10.1.0.0/16",),
        healthy_since=NOW,
        requested_tags=("tag:c",),
        custom_attributes=(
            CustomAttribute("custom:a", "x", NOW + timedelta(days=1, microseconds=1), "why"),
            CustomAttribute("custom:b", True),
            CustomAttribute("custom:c", -7),
        ),
        reported_by="gw-1",
        report_order=(1 << 63) - 1,
    )
    user = replace(a_user(node.id), display_name="É", email="a@b.c", groups=("x", "y"), role="admin", suspended=True)
    async with store.transaction() as rows:
        await rows.write([UserPut(user), NodePut(node), RelayPut(RELAY), SettingsPut(SETTINGS)], NOW)
    state = await store.load()
    assert state.settings == SETTINGS
    assert (list(state.nodes.values()), list(state.users.values())) == ([node], [user])
    assert (list(state.relays.values()), state.position) == ([RELAY], 4)
    async with store.transaction() as rows:
        await rows.write([SettingsPut(SETTINGS), SettingsPut(TailnetSettings())], NOW)
    assert (await store.load()).settings == TailnetSettings()


async def test_departures_are_loaded_again_until_they_are_trimmed(store: Store) -> None:
    first, second = [a_node(await new_id(store), tags=("tag:a",), hostname="h") for _ in range(2)]
    gone = [
        Departure.of(node, DepartureReason.DELETED, NOW + timedelta(seconds=number))
        for number, node in enumerate((first, second))
    ]
    async with store.transaction() as rows:
        await rows.write([NodePut(first), NodePut(second)], NOW)
        await rows.write([NodeRemoved(first.id, gone[0]), NodeRemoved(second.id, gone[1])], NOW)
    assert list((await store.load()).departures) == gone
    assert [CODEC.decode(record.payload) for record in await store.records(2, 9)] == [
        NodeRemoved(first.id, gone[0]),
        NodeRemoved(second.id, gone[1]),
    ]
    again = Departure.of(replace(first, hostname="new"), DepartureReason.INACTIVE, NOW + timedelta(seconds=9))
    moved = replace(first, ipv4="100.64.9.9")
    freed = Departure.of(first, DepartureReason.READDRESSED, NOW + timedelta(seconds=10), moved)
    async with store.transaction() as rows:
        await rows.write([NodePut(first), NodeRemoved(first.id, again), NodePut(moved, freed)], NOW)
    assert (freed.ipv4, freed.ipv6) == (first.ipv4, "")
    assert list((await store.load()).departures) == [gone[1], again, freed]
    async with store.transaction() as rows:
        await rows.trim_departures(NOW - timedelta(days=1), 2)
    assert list((await store.load()).departures) == [again, freed]
    async with store.transaction() as rows:
        await rows.trim_departures(NOW + timedelta(seconds=9, microseconds=1), 9)
    assert list((await store.load()).departures) == [freed]


async def test_the_log_says_the_same_as_the_rows(store: Store) -> None:
    node = a_node(await new_id(store), expiry=NOW, online=True, endpoints=("192.0.2.1:1",), endpoint_types=(1,))
    facts = [NodePut(node), UserPut(a_user(node.id)), RelayPut(RELAY), NodeRemoved(node.id)]
    facts += [UserRemoved(UserId(node.id)), RelayRemoved(RELAY.name), SettingsPut(SETTINGS)]
    async with store.transaction() as rows:
        written = await rows.write(facts, NOW)
    read = await store.records(0, 100)
    assert read == written
    assert [record.seq for record in read] == [1, 2, 3, 4, 5, 6, 7]
    assert [CODEC.decode(record.payload) for record in read] == facts
    state = await store.load()
    assert not state.nodes and not state.users and not state.relays and state.position == 7


async def test_records_come_in_pages(store: Store) -> None:
    first = await new_id(store)
    await put(store, *(a_node(first, home_derp=number) for number in range(10)))
    assert [record.seq for record in await store.records(3, 4)] == [4, 5, 6, 7]
    assert await store.records(10, 4) == []


async def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    node = a_node(await new_id(store))
    with pytest.raises(KeyError):
        async with store.transaction() as rows:
            await rows.write([NodePut(node)], NOW)
            await rows.put_absences([node.id], NOW)
            raise KeyError("changed my mind")
    assert await store.position() == 0
    assert not (await store.load()).nodes
    assert await store.absences() == []


@pytest.mark.parametrize("field", ["node_key", "given_name", "ipv4", "ipv6", "stable_id"])
async def test_what_must_be_unique_is_refused_by_the_database_itself(store: Store, field: str) -> None:
    first, second = a_node(await new_id(store)), a_node(await new_id(store))
    await put(store, first)
    with pytest.raises(StoreUnavailableError):
        await put(store, replace(second, **{field: getattr(first, field)}))
    assert list((await store.load()).nodes) == [first.id]


async def test_a_name_can_walk_from_one_node_to_another_in_one_transaction(store: Store) -> None:
    first, second = a_node(await new_id(store)), a_node(await new_id(store))
    await put(store, first, second)
    async with store.transaction() as rows:
        facts = [
            NodePut(replace(first, given_name="left")),
            NodePut(replace(second, given_name=first.given_name)),
            NodePut(replace(first, given_name=second.given_name)),
        ]
        await rows.write(facts, NOW)
    state = await store.load()
    assert [state.nodes[node.id].given_name for node in (first, second)] == [second.given_name, first.given_name]


async def test_nodes_without_an_address_do_not_collide(store: Store) -> None:
    nodes = [a_node(await new_id(store), ipv4="", ipv6="") for _ in range(2)]
    await put(store, *nodes)
    assert [node.ipv4 for node in (await store.load()).nodes.values()] == ["", ""]


async def test_ids_are_never_given_twice(store: Store) -> None:
    first = await new_id(store)
    await put(store, a_node(first))
    async with store.transaction() as rows:
        await rows.write([NodeRemoved(first)], NOW)
    assert await new_id(store) > first


async def test_trimming_keeps_the_newest_and_the_young(store: Store) -> None:
    node = a_node(await new_id(store))
    for minute in range(6):
        async with store.transaction() as rows:
            await rows.write([NodePut(replace(node, home_derp=minute))], NOW + timedelta(minutes=minute))
    async with store.transaction() as rows:
        assert await rows.trim(1, NOW + timedelta(minutes=3), 100) == 3
    assert [record.seq for record in await store.records(0, 10)] == [4, 5, 6]
    async with store.transaction() as rows:
        assert await rows.trim(1, NOW, 2) == 1
    assert [record.seq for record in await store.records(0, 10)] == [5, 6]
    assert await store.position() == 6


async def test_sessions_belong_to_their_gateway(store: Store) -> None:
    one, two = NodeId(1001), NodeId(1002)
    async with store.transaction() as rows:
        await rows.put_gateway(GatewayRecord("gw-1", NOW, False))
        await rows.put_gateway(GatewayRecord("gw-2", NOW - timedelta(seconds=1), True))
        await rows.open_sessions("gw-1", [(1, one), (2, two)])
        await rows.open_sessions("gw-1", [(1, one)])
        await rows.open_sessions("gw-2", [(1, two)])
        assert await rows.sessions_of("gw-1") == {1: one, 2: two}
        assert await rows.sessions_digest("gw-1") == SessionsDigest(2, checksum_of(1, one) + checksum_of(2, two))
        assert await rows.sessions_digest("gw-3") == SessionsDigest(0, 0)
        assert await rows.close_sessions("gw-1", [2, 77]) == {two}
        assert await rows.with_sessions([one, two]) == {one, two}
        assert await rows.remove_gateway("gw-2") == {two}
        assert await rows.with_sessions([one, two]) == {one}
        assert await rows.gateway("gw-2") is None
        assert await rows.gateway("gw-1") == GatewayRecord("gw-1", NOW, False)
    assert await store.gateways() == [GatewayRecord("gw-1", NOW, False)]


async def test_the_first_absence_stays(store: Store) -> None:
    one, two, later = NodeId(1001), NodeId(1002), NOW + timedelta(seconds=5)
    async with store.transaction() as rows:
        await rows.put_absences([one], NOW)
        await rows.put_absences([one, two], later)
    assert await store.absences() == [Absence(one, NOW), Absence(two, later)]
    async with store.transaction() as rows:
        await rows.remove_absences([one])
    assert await store.absences() == [Absence(two, later)]


async def test_a_removed_node_takes_its_presence_along(store: Store) -> None:
    node = a_node(await new_id(store))
    await put(store, node)
    async with store.transaction() as rows:
        await rows.open_sessions("gw-1", [(1, node.id)])
        await rows.put_absences([node.id], NOW)
        await rows.write([NodeRemoved(node.id)], NOW)
        assert await rows.with_sessions([node.id]) == set()
    assert await store.absences() == []


async def test_relays_are_heard_until_removed(store: Store) -> None:
    async with store.transaction() as rows:
        await rows.write([RelayPut(RELAY)], NOW)
        await rows.hear_relay(RELAY.name, NOW)
        await rows.hear_relay(RELAY.name, NOW + timedelta(seconds=3))
    assert await store.relays_heard() == {RELAY.name: NOW + timedelta(seconds=3)}
    async with store.transaction() as rows:
        await rows.write([RelayRemoved(RELAY.name)], NOW)
    assert await store.relays_heard() == {}


async def test_thousands_of_sessions_fit_into_one_report(store: Store) -> None:
    sessions = [(number, NodeId(number)) for number in range(1, 12_001)]
    async with store.transaction() as rows:
        await rows.open_sessions("gw-1", sessions)
        nodes = [node_id for _, node_id in sessions]
        assert await rows.with_sessions(nodes) == set(nodes)
        assert await rows.close_sessions("gw-1", [session for session, _ in sessions]) == set(nodes)
        await rows.put_absences(nodes, NOW)
        await rows.remove_absences(nodes)
    assert await store.absences() == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_the_migrations_make_exactly_the_tables_that_the_code_reads(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    config = DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=tmp_path / "db.sqlite"))
    if kind == "postgres":
        config = request.getfixturevalue("server")
    engine = create_engine(config)
    await SqlStore(engine, DEFAULT_TAILNET, CODEC).prepare()
    await SqlStore(engine, DEFAULT_TAILNET, CODEC).prepare()  # a second start finds nothing to do

    def difference(connection: Connection) -> list[object]:
        ours = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        return list(compare_metadata(MigrationContext.configure(connection, opts=ours), metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(difference) == []
    await engine.dispose()


async def test_more_can_be_removed_at_once_than_a_statement_has_parameters(store: Store) -> None:
    relay = Relay(region_id=900, region_code="r", region_name="r", name="kept", host_name="r.example.net")
    async with store.transaction() as transaction:
        await transaction.write([NodePut(a_node(50_000)), UserPut(a_user(50_000)), RelayPut(relay)], NOW)
    many = range(1, 33_000)
    gone = [
        *(NodeRemoved(NodeId(number)) for number in (*many, 50_000)),
        *(UserRemoved(UserId(number)) for number in (*many, 50_000)),
        *(RelayRemoved(f"r{number}") for number in many),
    ]
    async with store.transaction() as transaction:
        await transaction.write(gone, NOW)
        await transaction.remove_absences([NodeId(number) for number in many])
    left = await store.load()
    assert (len(left.nodes), len(left.users), list(left.relays)) == (0, 0, ["kept"])
