"""Every installation, imported, holds what its own server said of it, field by field."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.moving.moving import ImportOptions, run
from cli.moving.report import ImportReport
from services.auth.model.secret import KeyKind, digest_of, read
from services.auth.sql import SqlApiKeys, SqlPreAuthKeys
from services.auth.usecases.proof import Proof
from services.registry.model.node import Node, RegisterMethod
from services.shared.config.model import Config, DatabaseConfig
from services.shared.db.database import create_engine
from services.shared.db.place import beside
from services.shared.ids import DEFAULT_TAILNET
from tests.flow.moving.installations import POSTGRES, SQLITE, emptied, restored, unpack
from tests.flow.moving.installations import read as read_data
from tests.flow.moving.target import Tailnet, tailnet_of

_METHODS = {"authkey": RegisterMethod.AUTH_KEY, "cli": RegisterMethod.CLI, "oidc": RegisterMethod.OIDC}


def second(moment: datetime | None) -> str | None:
    """A time as `expected.json` has it."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def api_keys_of(name: str) -> list[dict[str, Any]]:
    """The API keys of an installation, without OAuth clients, which there are none of here."""
    return [key for key in read_data(name, "expected.json")["apikeys"] if not key["key"].startswith("hskey-client-")]


async def imported(config: Config, **wishes: Any) -> ImportReport:
    """Import and give the report."""
    return await run(config, ImportOptions(**wishes), lambda report: None)


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseConfig:
    """An empty database to import into."""
    if request.param == "sqlite":
        default = DatabaseConfig()
        return replace(default, sqlite=replace(default.sqlite, path=tmp_path / "target" / "smartscale.sqlite"))
    server: DatabaseConfig = request.getfixturevalue("server")
    return emptied(server, f"into_{abs(hash(request.node.name)) % 10**12}")


@pytest.mark.parametrize("name", SQLITE)
async def test_each_installation_becomes_what_its_server_said(
    name: str, tmp_path: Path, target: DatabaseConfig
) -> None:
    """Users, nodes, keys and policy of each release, into both databases."""
    config = unpack(name, tmp_path / "old")
    before = (tmp_path / "old" / "db.sqlite").read_bytes()
    report = await imported(replace(config, database=target), source=str(tmp_path / "old" / "db.sqlite"))
    assert report.refusal is None
    tailnet = await tailnet_of(target)
    truth = read_data(name, "expected.json")
    assert [_user(tailnet, user["id"]) for user in truth["users"]] == truth["users"]
    assert len(tailnet.users) == len(truth["users"]) == report.counts["users"].imported
    assert [_node(tailnet, node["id"]) for node in truth["nodes"]] == [_expected(node) for node in truth["nodes"]]
    assert len(tailnet.nodes) == len(truth["nodes"]) == report.counts["nodes"].imported
    assert [_key(tailnet, key["id"]) for key in truth["preauthkeys"]] == [
        {name: key[name] for name in ("id", "user", "reusable", "ephemeral", "tags", "expiration")}
        | {"used": key["used"] and not key["reusable"]}
        for key in truth["preauthkeys"]
    ]
    keys = {key["label"]: key["id"] for key in truth["preauthkeys"]}
    assert {number: node.pre_auth_key_id for number, node in tailnet.nodes.items()} == {
        node["id"]: keys.get(node["auth_key"], 0) for node in truth["nodes"]
    }
    assert len(tailnet.api_keys) == len(api_keys_of(name))
    if config.policy.mode == "database":
        assert tailnet.policy == truth["policy_in_database"]
    assert (tmp_path / "old" / "db.sqlite").read_bytes() == before
    assert [path.name for path in (tmp_path / "old").glob("db.sqlite*")] == ["db.sqlite"]


@pytest.mark.parametrize("name", SQLITE)
async def test_each_secret_that_was_handed_out_is_known(name: str, tmp_path: Path) -> None:
    """Texts of pre-auth keys and API keys prove themselves, and the digest is ours from then on."""
    config = unpack(name, tmp_path)
    await imported(config)
    engine = create_engine(beside(config.database))
    preauth, api, proof = SqlPreAuthKeys(engine, DEFAULT_TAILNET), SqlApiKeys(engine, DEFAULT_TAILNET), Proof()
    try:
        texts = [(KeyKind.PRE_AUTH, preauth, key) for key in read_data(name, "expected.json")["preauthkeys"]]
        texts += [(KeyKind.API, api, key) for key in api_keys_of(name)]
        for kind, store, key in texts:
            text = read(kind, key["key"])
            assert text is not None, key["label"]
            found = await store.by_prefix(text.prefix)
            assert found is not None and await proof.proves(text, found[1], store), key["label"]
            wrong = replace(text, unverified_secret=text.unverified_secret[::-1])
            assert not await proof.proves(wrong, found[1], store)
            again = await store.by_prefix(text.prefix)
            assert again is not None and again[1] == digest_of(text.unverified_secret)
    finally:
        await engine.dispose()


@pytest.mark.parametrize("name", POSTGRES)
async def test_each_installation_on_postgresql_is_read_as_well(
    name: str, tmp_path: Path, server: DatabaseConfig
) -> None:
    """From PostgreSQL into SQLite and into another database of the same server."""
    config = unpack(name, tmp_path)
    old = restored(server, name, f"old_{name}")
    dsn = f"postgres://smartscale@/{old.name}?host={old.host}"
    truth = read_data(name, "lists.json")
    default = DatabaseConfig()
    file = replace(default, sqlite=replace(default.sqlite, path=tmp_path / "new.sqlite"))
    for database in (file, emptied(server, f"new_{name}")):
        await imported(replace(config, database=database), source=dsn)
        tailnet = await tailnet_of(database)
        assert [
            {"id": user.id, "name": user.name, "provider_identifier": user.provider_id or None}
            for user in sorted(tailnet.users.values(), key=lambda user: user.id)
        ] == sorted(truth["users"], key=lambda user: user["id"])
        listed = {node["id"]: node for node in truth["nodes"]}
        assert tailnet.nodes.keys() == listed.keys()
        for node in tailnet.nodes.values():
            one = listed[node.id]
            assert (node.hostname, node.given_name) == (one["hostname"], one["given_name"])
            assert sorted(filter(None, (node.ipv4, node.ipv6))) == one["addresses"]
            assert node.machine_key.raw.hex() == one["machine_key"].removeprefix("mkey:")
            assert node.node_key.raw.hex() == one["node_key"].removeprefix("nodekey:")
        assert len(tailnet.preauth_keys) >= 12


async def test_a_node_that_joins_after_the_import_gets_an_id_that_was_never_given(tmp_path: Path) -> None:
    """The old server's own count goes on, and addresses as well."""
    config = unpack("0.29.2", tmp_path)
    await imported(config)
    tailnet = await tailnet_of(beside(config.database))
    engine = create_engine(beside(config.database))
    from services.registry.change_codec import ProtoFactCodec
    from services.registry.sql import SqlStore

    try:
        async with SqlStore(engine, DEFAULT_TAILNET, ProtoFactCodec(DEFAULT_TAILNET)).transaction() as transaction:
            assert await transaction.next_id("node") == max(tailnet.nodes) + 1
            assert await transaction.next_id("user") == 7  # 5 was destroyed, 6 is the last
            assert await transaction.position() == len(tailnet.nodes) + len(tailnet.users)
    finally:
        await engine.dispose()


async def test_times_with_the_offset_of_the_servers_zone_are_the_same_instants(tmp_path: Path) -> None:
    """A server in India."""
    config = unpack("0.29.2", tmp_path / "config")
    unpack_timezone(tmp_path)
    target = replace(config.database, sqlite=replace(config.database.sqlite, path=tmp_path / "new.sqlite"))
    await imported(replace(config, database=target), source=str(tmp_path / "db.sqlite"))
    (user,) = (await tailnet_of(target)).users.values()
    assert abs((user.created_at - datetime(2026, 11, 29, 22, tzinfo=UTC)).total_seconds()) < 7200


def unpack_timezone(folder: Path) -> None:
    """The database alone; this set has no configuration."""
    import gzip

    from tests.flow.moving.installations import DATA

    packed = (DATA / "0.29.2-timezone" / "db.sqlite.gz").read_bytes()
    (folder / "db.sqlite").write_bytes(gzip.decompress(packed))


def _user(tailnet: Tailnet, user_id: int) -> dict[str, Any]:
    user = tailnet.users[user_id]
    links = [link.provider_id for link in tailnet.links if link.user_id == user_id]
    assert links == ([user.provider_id] if user.provider_id else [])
    return {
        "id": user.id,
        "name": user.name,
        "display_name": user.display_name or None,
        "email": user.email or None,
        "provider_identifier": user.provider_id or None,
        "provider": user.provider or None,
        "profile_pic_url": user.profile_pic_url or None,
    }


def _node(tailnet: Tailnet, node_id: int) -> dict[str, Any]:
    node: Node = tailnet.nodes[node_id]
    owner = tailnet.users.get(node.user_id)
    assert node.stable_id == str(node.id)
    return {
        "id": node.id,
        "hostname": node.hostname,
        "given_name": node.given_name,
        "user": None if owner is None else owner.name,
        "machine_key": str(node.machine_key),
        "node_key": str(node.node_key),
        "disco_key": str(node.disco_key),
        "ipv4": node.ipv4,
        "ipv6": node.ipv6,
        "tags": sorted(node.tags),
        "expiry": second(node.expiry),
        "approved_routes": sorted(node.approved_routes),
        "announced_routes": sorted(node.advertised_routes),
        "register_method": node.register_method,
        "ephemeral": node.ephemeral,
        "last_seen": second(node.last_seen),
    }


def _expected(node: dict[str, Any]) -> dict[str, Any]:
    tags = sorted({*node["tags"], *node["requested_tags_granted"]})
    kept = ("id", "hostname", "given_name", "machine_key", "node_key", "disco_key", "ipv4", "ipv6", "expiry")
    return {name: node[name] for name in kept} | {
        "user": None if tags else node["user"],
        "tags": tags,
        "approved_routes": sorted(node["approved_routes"]),
        "announced_routes": sorted(node["announced_routes"]),
        "register_method": _METHODS[node["register_method"]],
        "ephemeral": node["ephemeral"],
        "last_seen": node["last_seen"],
    }


def _key(tailnet: Tailnet, key_id: int) -> dict[str, Any]:
    key = tailnet.preauth_keys[key_id]
    owner = tailnet.users.get(key.user_id)
    return {
        "id": key.id,
        "user": None if owner is None else owner.name,
        "reusable": key.reusable,
        "ephemeral": key.ephemeral,
        "used": key.used,
        "tags": sorted(key.tags),
        "expiration": second(key.expiration),
    }
