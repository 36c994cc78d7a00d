"""Damage that old databases have: each kind has a rule, is reported, and does not stop the rest."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cli.moving.moving import ImportOptions, run
from cli.moving.report import ImportReport
from services.auth.model.secret import KeyKind
from services.auth.model.secret import read as read_secret
from services.shared.config.model import Config
from services.shared.db.place import beside
from services.shared.keys import NodeKey
from tests.flow.moving.installations import read, unpack
from tests.flow.moving.target import Tailnet, tailnet_of


@contextmanager
def edited(path: Path) -> Iterator[sqlite3.Connection]:
    """Change an old database, and leave it as a server that ended in order does."""
    with closing(sqlite3.connect(path)) as connection:
        yield connection
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")


def files_of(path: Path) -> dict[Path, bytes]:
    """A database and what lies beside it, without the index of its log, which no reader needs."""
    return {file: file.read_bytes() for file in path.parent.glob(f"{path.name}*") if not file.name.endswith("-shm")}


async def imported(config: Config) -> tuple[ImportReport, Tailnet]:
    """Import into the file beside the old one."""
    report = await run(config, ImportOptions(), lambda report: None)
    return report, await tailnet_of(beside(config.database))


def noted(report: ImportReport, kind: str, which: int | str) -> str:
    """What was said of one row."""
    return "; ".join(f"{one.what}: {one.done}" for one in report.problems if (one.kind, one.id) == (kind, str(which)))


@pytest.fixture
def old(tmp_path: Path) -> Config:
    """An installation of 0.29.2."""
    return unpack("0.29.2", tmp_path)


LAST_YEAR = "'2025-01-01 00:00:00+00:00'"
CASES = {
    "a name that two nodes have": (
        "UPDATE nodes SET given_name = 'sim-router', last_seen = '2020-01-01 00:00:00+00:00' WHERE id = 1",
        ("node", 1, "named sim-plain"),
    ),
    "an address that two nodes have": (
        "UPDATE nodes SET ipv4 = '100.64.0.5', ipv6 = NULL, last_seen = '2020-01-01 00:00:00+00:00' WHERE id = 1",
        ("node", 1, "given 100.64.0.28"),
    ),
    "an address that is none": (
        "UPDATE nodes SET ipv4 = '100.64.0.999' WHERE id = 1", ("node", 1, "ipv4 is no address")
    ),
    "no address": ("UPDATE nodes SET ipv4 = NULL, ipv6 = '' WHERE id = 1", ("node", 1, "given 100.64.0.28")),
    "a node key that two nodes have": (
        "UPDATE nodes SET node_key = (SELECT node_key FROM nodes WHERE id = 5), last_seen = NULL WHERE id = 1",
        ("node", 1, "left out"),
    ),
    "no node key": ("UPDATE nodes SET node_key = NULL WHERE id = 1", ("node", 1, "it has no node_key: left out")),
    "a machine key that is none": (
        "UPDATE nodes SET machine_key = 'mkey:12' WHERE id = 1", ("node", 1, "machine_key is no MachineKey: left out")
    ),
    "a hostinfo that is no JSON": ("UPDATE nodes SET host_info = '{\"OS\":' WHERE id = 1", ("node", 1, "left empty")),
    "a hostinfo that is NULL": ("UPDATE nodes SET host_info = NULL WHERE id = 1", None),
    "endpoints that are none": ("UPDATE nodes SET endpoints = '[\"x\"]' WHERE id = 1", ("node", 1, "its endpoints")),
    "tags that are no JSON": ("UPDATE nodes SET tags = '[' WHERE id = 1", ("node", 1, "tags is no JSON list")),
    "a tag that is none": (
        "UPDATE nodes SET tags = '[\"server\", \"tag:ok\"]' WHERE id = 1", ("node", 1, "a tag is damaged")
    ),
    "a route that is none": (
        "UPDATE nodes SET approved_routes = '[\"10.0.0.0/99\", \"10.1.0.0/16\"]' WHERE id = 1",
        ("route", 1, "a route is damaged"),
    ),
    "an expiry that is none": ("UPDATE nodes SET expiry = 'soon' WHERE id = 1", ("node", 1, "expiry is no time")),
    "an owner that is gone": ("UPDATE nodes SET user_id = 99 WHERE id = 1", ("user", 99, "made again as user-99")),
    "no owner and no tags": ("UPDATE nodes SET user_id = NULL, tags = NULL WHERE id = 1", ("node", 1, "left out")),
    "a name that is no label": ("UPDATE nodes SET given_name = 'a-' WHERE id = 1", ("node", 1, "no DNS label")),
    "a name in capitals": ("UPDATE nodes SET given_name = 'LAPTOP' WHERE id = 1", ("node", 1, "now laptop")),
    "a deleted node": (f"UPDATE nodes SET deleted_at = {LAST_YEAR} WHERE id = 1", ("node", 1, "left out")),
    "a user without a name": ("UPDATE users SET name = NULL WHERE id = 2", ("user", 2, "has no name: named")),
    "users that differ in case": ("UPDATE users SET name = 'Alice' WHERE id = 2", ("user", 2, "only in case: kept")),
    "a local user and a person of the same name": (
        "UPDATE users SET name = 'alice' WHERE id = 6", ("user", 6, "renamed to erin@example.com")
    ),
    "a picture that is no URL": ("UPDATE users SET profile_pic_url = 'x y' WHERE id = 2", ("user", 2, "picture")),
    "a deleted user": (f"UPDATE users SET deleted_at = {LAST_YEAR} WHERE id = 6", ("user", 6, "left out")),
    "an identity at another provider": (
        "UPDATE users SET provider_identifier = 'https://other.example.com/x' WHERE id = 6",
        ("user", 6, "linked to https://other.example.com"),
    ),
    "a key with a hash that is none": (
        "UPDATE pre_auth_keys SET hash = 'x' WHERE id = 3", ("preauthkey", 3, "its hash has a form")
    ),
    "a key whose user is gone": ("UPDATE pre_auth_keys SET user_id = 99 WHERE id = 3", ("preauthkey", 3, "left out")),
    "a key with a tag that is none": (
        "UPDATE pre_auth_keys SET tags = '[\"x\"]' WHERE id = 3", ("preauthkey", 3, "a tag is damaged")
    ),
    "an API key without a hash": ("UPDATE api_keys SET hash = NULL WHERE id = 1", ("apikey", 1, "left out")),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_a_damaged_row_is_reported_and_the_rest_comes_over(case: str, old: Config) -> None:
    statement, expected = CASES[case]
    with edited(old.database.sqlite.path) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement)
    report, tailnet = await imported(old)
    if expected is None:
        assert report.problems == ()
    else:
        kind, which, text = expected
        assert text in noted(report, kind, which)
    for kind in ("users", "nodes", "preauthkeys", "apikeys"):
        counts = report.counts[kind]
        made_again = sum(one.kind == kind[:-1] and "made again" in one.done for one in report.problems)
        assert counts.imported + counts.left_out == counts.found + made_again
    assert len(tailnet.nodes) == report.counts["nodes"].imported >= 25
    assert len({node.given_name for node in tailnet.nodes.values()}) == len(tailnet.nodes)
    addresses = [address for node in tailnet.nodes.values() for address in (node.ipv4, node.ipv6) if address]
    assert len(set(addresses)) == len(addresses)
    assert all(node.ipv4 or node.ipv6 for node in tailnet.nodes.values())


async def test_rows_on_a_damaged_page_are_left_out_and_counted(old: Config) -> None:
    path = old.database.sqlite.path
    with edited(path) as connection:
        page = connection.execute("PRAGMA page_size").fetchone()[0]
        leaves = (
            connection.execute(
                "SELECT pageno FROM dbstat WHERE name = 'nodes' AND pagetype = 'leaf' ORDER BY pageno"
            ).fetchall()
            if _has_dbstat(connection)
            else []
        )
    if not leaves:
        pytest.skip("this SQLite has no dbstat")
    content = bytearray(path.read_bytes())
    start = (leaves[1][0] - 1) * page
    content[start : start + page] = bytes([0x55]) * page
    path.write_bytes(content)
    report, tailnet = await imported(old)
    counts = report.counts["nodes"]
    assert 0 < len(tailnet.nodes) < 26
    assert counts.left_out > 0 and counts.imported == len(tailnet.nodes)
    assert "damaged pages" in noted(report, "database", "nodes")


def _has_dbstat(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT count(*) FROM dbstat")
    except sqlite3.Error:
        return False
    return True


async def test_a_journal_that_was_left_is_read_and_not_touched(old: Config) -> None:
    """A server that was killed leaves what it wrote last in the log beside its file."""
    path = old.database.sqlite.path
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("UPDATE nodes SET given_name = 'written-last' WHERE id = 1")
        connection.commit()
        left = files_of(path)
    for file, content in left.items():
        file.write_bytes(content)
    _, tailnet = await imported(old)
    assert tailnet.nodes[1].given_name == "written-last"
    assert files_of(path) == left


async def test_a_second_import_merges_nothing_twice(old: Config) -> None:
    _, first = await imported(old)
    again = await run(old, ImportOptions(merge=True), lambda report: None)
    assert await tailnet_of(beside(old.database)) == replace(first)
    assert (again.counts["nodes"].imported, again.counts["nodes"].already_there) == (0, 26)


async def test_two_installations_with_the_same_ids_are_merged(old: Config, tmp_path: Path) -> None:
    await imported(old)
    other = unpack("0.28.0", tmp_path / "other")
    report = await run(old, ImportOptions(source=str(other.database.sqlite.path), merge=True), lambda report: None)
    tailnet = await tailnet_of(beside(old.database))
    assert len(tailnet.users) == 5  # the same names are the same people
    assert len(tailnet.nodes) == 52 and len({node.given_name for node in tailnet.nodes.values()}) == 52
    assert report.counts["nodes"].imported == 26
    assert len({node.ipv4 for node in tailnet.nodes.values()}) == 52


async def test_a_merged_node_names_the_key_that_it_joined_by_under_its_new_id(old: Config, tmp_path: Path) -> None:
    """Keys of the second installation get other ids, and so do the nodes' references to them."""
    _, first = await imported(old)
    other = unpack("0.28.0", tmp_path / "other")
    await run(old, ImportOptions(source=str(other.database.sqlite.path), merge=True), lambda report: None)
    tailnet = await tailnet_of(beside(old.database))
    truth = read("0.28.0", "expected.json")
    texts = {key["label"]: read_secret(KeyKind.PRE_AUTH, key["key"]) for key in truth["preauthkeys"]}
    ids = {key.prefix: key.id for number, key in tailnet.preauth_keys.items() if number not in first.preauth_keys}
    came = {node.node_key: node for number, node in tailnet.nodes.items() if number not in first.nodes}
    assert {key: node.pre_auth_key_id for key, node in came.items()} == {
        NodeKey.parse(node["node_key"]): ids[text.prefix] if (text := texts.get(node["auth_key"])) else 0
        for node in truth["nodes"]
    }


async def test_a_node_whose_key_was_deleted_names_no_key(old: Config) -> None:
    """A key made later could get that id."""
    with edited(old.database.sqlite.path) as connection:
        connection.execute("UPDATE nodes SET auth_key_id = 4711 WHERE id = 1")
    _, tailnet = await imported(old)
    assert tailnet.nodes[1].pre_auth_key_id == 0
