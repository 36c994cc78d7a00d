"""A backup fills either database, and what is damaged in one is found before anything is written."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from cli.frame.errors import CommandError
from cli.moving.backup import create, restore, verify
from cli.moving.checking import check
from cli.moving.moving import ImportOptions, run
from cli.moving.schema import PARTS
from services.registry.change_codec import ProtoFactCodec
from services.registry.model.fact import NodeRemoved
from services.registry.sql import SqlStore
from services.shared.config import Config
from services.shared.config.model import DatabaseConfig
from services.shared.db.database import create_engine, upgrade_on, write
from services.shared.db.place import beside
from services.shared.ids import DEFAULT_TAILNET, NodeId
from tests.flow.moving.installations import emptied, unpack
from tests.flow.moving.target import tailnet_of


def quiet(what: str, number: int) -> None:
    """Show no progress."""


@pytest.fixture
async def ours(tmp_path: Path) -> Config:
    """A tailnet of 26 nodes on SQLite, with its keys."""
    config = unpack("0.29.2", tmp_path / "ours")
    await run(config, ImportOptions(), lambda report: None)
    return replace(config, database=beside(config.database))


def elsewhere(config: Config, folder: Path, database: DatabaseConfig | None = None) -> Config:
    """The configuration of a new server in another folder."""
    sqlite = replace(config.database.sqlite, path=folder / "smartscale.sqlite")
    return replace(
        config,
        database=database or replace(config.database, type="sqlite", sqlite=sqlite),
        noise=replace(config.noise, private_key_path=folder / "noise_private.key"),
        derp=replace(config.derp, server=replace(config.derp.server, private_key_path=folder / "derp.key")),
    )


async def new_ids(database: DatabaseConfig) -> list[Any]:
    """The ids that the next rows get."""
    engine = create_engine(database)
    try:
        async with write(engine) as connection:
            rows = await connection.execute(
                text(
                    "INSERT INTO auth_api_keys (tailnet_id, prefix, digest, created_at) "
                    "VALUES ('default', 'zzzzzzzzzzzz', 'x', '2026-01-01') RETURNING id"
                )
            )
            return [rows.scalar_one()]
    finally:
        await engine.dispose()


async def test_a_backup_fills_either_database_and_comes_back_from_it(
    ours: Config, tmp_path: Path, server: DatabaseConfig
) -> None:
    first, second = tmp_path / "first.backup", tmp_path / "second.backup"
    summary = await create(ours, first, quiet)
    assert summary.rows["registry_nodes"] == 26 and summary.keys == ("noise_private.key", "derp_server_private.key")
    assert first.stat().st_mode & 0o777 == 0o600
    assert verify(first, quiet) == summary
    before = await tailnet_of(ours.database)
    postgres = elsewhere(ours, tmp_path / "pg", emptied(server, "restored"))
    await restore(postgres, first, force=False, progress=quiet)
    assert await tailnet_of(postgres.database) == before
    assert await check(postgres) == []
    await create(postgres, second, quiet)
    back = elsewhere(ours, tmp_path / "back")
    await restore(back, second, force=False, progress=quiet)
    assert await tailnet_of(back.database) == before
    assert await check(back) == []
    kept = ours.noise.private_key_path.read_bytes()
    assert back.noise.private_key_path.read_bytes() == kept == postgres.noise.private_key_path.read_bytes()
    assert back.noise.private_key_path.stat().st_mode & 0o777 == 0o600
    assert await new_ids(back.database) == [4]


async def test_ids_that_were_given_before_the_backup_are_not_given_after_it(ours: Config, tmp_path: Path) -> None:
    engine = create_engine(ours.database)
    async with write(engine) as connection:
        await connection.execute(text("DELETE FROM auth_api_keys WHERE id = 3"))
    await engine.dispose()
    await create(ours, tmp_path / "b", quiet)
    other = elsewhere(ours, tmp_path / "other")
    await restore(other, tmp_path / "b", force=False, progress=quiet)
    assert await new_ids(other.database) == [4]


async def test_a_database_that_is_not_empty_is_replaced_only_by_force(ours: Config, tmp_path: Path) -> None:
    backup = tmp_path / "b"
    await create(ours, backup, quiet)
    whole = await tailnet_of(ours.database)
    await _remove(ours.database, 1)
    changed = await tailnet_of(ours.database)
    assert changed != whole
    with pytest.raises(CommandError, match="not empty"):
        await restore(ours, backup, force=False, progress=quiet)
    assert await tailnet_of(ours.database) == changed
    await restore(ours, backup, force=True, progress=quiet)
    assert await tailnet_of(ours.database) == whole


async def _remove(database: DatabaseConfig, node_id: int) -> None:
    from datetime import UTC, datetime

    engine = create_engine(database)
    async with SqlStore(engine, DEFAULT_TAILNET, ProtoFactCodec(DEFAULT_TAILNET)).transaction() as transaction:
        await transaction.write([NodeRemoved(NodeId(node_id))], datetime.now(UTC))
    await engine.dispose()


def _flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


async def test_a_byte_that_changed_anywhere_is_found_or_means_nothing(ours: Config, tmp_path: Path) -> None:
    backup = tmp_path / "b"
    summary = await create(ours, backup, quiet)
    size = backup.stat().st_size
    for place in range(10, size, max(1, size // 60)):
        _flipped(backup, place)
        try:
            assert verify(backup, quiet) == summary  # a date or an attribute in the ZIP's own headers
        except CommandError as error:
            assert error.remedy
        _flipped(backup, place)
    assert verify(backup, quiet) == summary


async def test_a_damaged_backup_changes_nothing(ours: Config, tmp_path: Path) -> None:
    backup = tmp_path / "b"
    await create(ours, backup, quiet)
    members = {}
    with zipfile.ZipFile(backup) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["tables/registry_nodes.jsonl"] = members["tables/registry_nodes.jsonl"].replace(b"sim-plain", b"sim-plaim")
    with zipfile.ZipFile(backup, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    other = elsewhere(ours, tmp_path / "other")
    with pytest.raises(CommandError, match="differs from its digest in the manifest"):
        await restore(other, backup, force=False, progress=quiet)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"no backup at all" * 50])
def test_what_is_no_backup_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(content)
    with pytest.raises(CommandError, match="is no backup"):
        verify(tmp_path / "b", quiet)


async def test_check_finds_a_node_without_its_owner_and_a_gap_in_the_log(ours: Config) -> None:
    assert await check(ours) == []
    engine = create_engine(ours.database)
    async with write(engine) as connection:
        await connection.execute(text("DELETE FROM registry_users WHERE id = 1"))
        await connection.execute(text("DELETE FROM registry_changes WHERE seq = 9"))
    await engine.dispose()
    faults = await check(ours)
    assert "node 1 belongs to a user that does not exist" in faults
    assert any(fault.startswith("registry_changes has gaps") for fault in faults)


async def test_tables_older_than_the_program_are_backed_up_and_brought_up_to_date_by_a_restore(
    ours: Config, tmp_path: Path
) -> None:
    """A backup before an upgrade may be taken by either version."""
    old = elsewhere(ours, tmp_path / "old")
    engine = create_engine(old.database)
    async with write(engine) as connection:
        for part in PARTS:
            await connection.run_sync(upgrade_on, part.migrations, part.version_table, "0001")
        await connection.execute(
            text(
                "INSERT INTO auth_api_keys (tailnet_id, prefix, digest, created_at) "
                "VALUES ('default', 'abcdefghijkl', 'x', '2026-01-01')"
            )
        )
    await engine.dispose()
    assert any("start the server once" in fault for fault in await check(old))
    await create(old, tmp_path / "b", quiet)
    new = elsewhere(ours, tmp_path / "new")
    await restore(new, tmp_path / "b", force=False, progress=quiet)
    assert await check(new) == []
    assert [key.prefix for key in (await tailnet_of(new.database)).api_keys.values()] == ["abcdefghijkl"]
