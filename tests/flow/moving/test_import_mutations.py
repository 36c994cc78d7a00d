"""Installations that no test keeps: kept ones with random values in random places are imported all the same."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cli.moving.checking import check
from cli.moving.moving import ImportOptions, run
from cli.moving.report import ImportReport
from services.shared.config.model import Config
from services.shared.db.place import beside
from tests.flow.moving.installations import SQLITE, unpack
from tests.flow.moving.target import tailnet_of

TABLES = (
    "users", "nodes", "machines", "routes", "pre_auth_keys", "pre_auth_key_acl_tags", "api_keys", "policies",
    "oauth_clients",
)  # fmt: skip
VALUES: tuple[object, ...] = (
    None, "", " ", 0, -1, 1, 7, 2**53, 2**62, 1.5, "NULL", "null", "[]", "{}", "[null]", '[["x"]]', '["tag:a","tag:A"]',
    '["10.0.0.0/8","::/0","10.0.0.1/8","bad"]', "1", "true", "ALICE", "Alice@Example.COM", "zoë ❤ \u202e\x00\x1b[31m",
    "x" * 70_000, b"\xff\xfe\x00", b"[]", b'["tag:server"]', "0001-01-01 00:00:00+00:00",
    "9999-12-31 23:59:59.999999999-23:59",
    "2024-02-30 00:00:00", "100.64.0.1", "100.64.0.1,fd7a:115c:a1e0::1", "8.8.8.8", "::ffff:100.64.0.2", "fe80::1%eth0",
    "nodekey:" + "AB" * 32, "mkey:" + "00" * 32, "cd" * 32, "MKEY:" + "12" * 32, "privkey:" + "34" * 32, "tag:server",
    "alice", "-", "a..b", ".", "localhost", "x" * 64, "https://idp.example.com/", "//", '{"OS":1,"RoutableIPs":["x"]}',
    '{"Hostname":null,"RequestTags":["tag:x",null],"NetInfo":{"PreferredDERP":-1}}', "[" * 3000, "\ud7ff\uffff",
)  # fmt: skip


def mutate(path: Path, chance: random.Random, number: int) -> None:
    """Put random values, among them those of other rows, into random places of a database; ids only become others."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON; PRAGMA journal_mode=DELETE;"
        )
        present = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type='index' AND sql IS NOT NULL"
        ).fetchall():
            connection.execute(f'DROP INDEX "{name}"')  # as in databases of which a migration lost one
        columns = [
            (table, column[1])
            for table in TABLES
            if table in present
            for column in connection.execute(f"PRAGMA table_info({table})").fetchall()
        ]
        for _ in range(number):
            table, column = chance.choice(columns)
            rows = [row for (row,) in connection.execute(f"SELECT rowid FROM {table}")]
            if not rows:
                continue
            if chance.random() < 0.4:
                value = connection.execute(
                    f"SELECT {column} FROM {table} WHERE rowid=?", (chance.choice(rows),)
                ).fetchone()[0]
                value = value.swapcase() if isinstance(value, str) and chance.random() < 0.3 else value
            else:
                value = chance.choice(VALUES)
            try:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, chance.choice(rows)))
            except (sqlite3.IntegrityError, OverflowError):
                continue
        connection.commit()


async def imported(config: Config, policy: str, **wishes: bool) -> ImportReport:
    """Import, or preview."""
    return await run(config, ImportOptions(policy=policy, **wishes), lambda report: None)


def consistent(report: ImportReport) -> None:
    """Each row that was found is accounted for."""
    for kind in ("users", "nodes", "preauthkeys", "apikeys"):
        counts = report.counts[kind]
        made_again = sum(one.kind == kind[:-1] and "made again" in one.done for one in report.problems)
        assert counts.imported + counts.left_out + counts.already_there == counts.found + made_again, kind


@pytest.mark.parametrize("name", SQLITE)
async def test_an_installation_with_random_damage_is_imported_and_each_row_accounted_for(
    name: str, tmp_path: Path
) -> None:
    """One is written and examined, others are only planned, which finds the same faults sooner."""
    for seed in range(3):
        config = unpack(name, tmp_path / str(seed))
        chance = random.Random(f"{name} {seed}")
        mutate(config.database.sqlite.path, chance, (60, 300, 5)[seed])
        # A policy that names people who are gone now would be refused as a whole.
        (tmp_path / str(seed) / "policy.hujson").write_text("{}")
        policy = str(tmp_path / str(seed) / "policy.hujson")
        consistent(await imported(config, policy, dry_run=True))
        if seed:
            continue
        report = await imported(config, policy)
        assert report.refusal is None
        consistent(report)
        ours = replace(config, database=beside(config.database))
        assert await check(ours) == []
        nodes = list((await tailnet_of(ours.database)).nodes.values())
        assert len(nodes) == report.counts["nodes"].imported
        addresses = [address for node in nodes for address in (node.ipv4, node.ipv6) if address]
        for unique in (addresses, [node.given_name for node in nodes], [node.node_key for node in nodes]):
            assert len(set(unique)) == len(unique)
