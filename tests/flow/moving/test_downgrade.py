"""The way back to an older version: what it refuses, and that the remedy which it names works as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from services.shared.config.model import Config, DatabaseConfig
from services.shared.db.contents import recognise
from services.shared.db.database import create_engine, write
from services.shared.db.place import beside, place_of
from services.shared.db.recognition import Kind
from services.shared.db.revisions import this_program
from tests.flow.moving.installations import psql, restored, unpack
from tests.flow.moving.target import tailnet_of
from tests.flow.moving.test_import_refusals import headscale


@pytest.fixture(params=["sqlite", "postgres"])
def imported(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """An installation that was imported, with a backup of it, for the configuration that names Headscale's database."""
    if request.param == "sqlite":
        config = unpack("0.29.2", tmp_path)
    else:
        server: DatabaseConfig = request.getfixturevalue("server")
        old = restored(server, "0.29.2-postgres", f"down_{abs(hash(request.node.name)) % 10**9}")
        postgres = {"host": old.host, "name": old.name, "user": "smartscale"}
        config = unpack("0.29.2-postgres", tmp_path, {"database": {"type": "postgres", "postgres": postgres}})
    for words in (["import"], ["backup", "create", str(tmp_path / "first.backup")]):
        done = headscale(tmp_path, *words)
        assert done.returncode == 0, done.stderr
    return config


async def run_on(database: DatabaseConfig, *statements: str) -> None:
    """Change a database behind the server's back."""
    engine = create_engine(database)
    try:
        async with write(engine) as connection:
            for statement in statements:
                await connection.execute(text(statement))
    finally:
        await engine.dispose()


async def test_a_newer_database_is_refused_by_the_version_that_made_it(imported: Config, tmp_path: Path) -> None:
    ours = beside(imported.database)
    engine = create_engine(ours)
    try:
        async with write(engine) as connection:
            for service in ("registry", "policy", "auth"):
                recorded = await connection.scalar(text(f"SELECT version FROM {service}_made_by"))
                assert recorded == this_program()
    finally:
        await engine.dispose()
    await run_on(
        ours,
        "UPDATE auth_alembic_version SET version_num = '9001'",
        "UPDATE auth_made_by SET version = '9.1.0, commit abc1234'",
    )
    found = await recognise(ours)
    assert (found.kind, found.release) == (Kind.NEWER, "9.1.0, commit abc1234")
    for words in (["configtest"], ["serve"], ["db", "check"], ["backup", "restore", str(tmp_path / "first.backup")]):
        done = headscale(tmp_path, *words)
        assert done.returncode == 1, words
        assert "was made by a newer smartscale (9.1.0, commit abc1234): the tables of auth" in done.stderr, words
        assert "a downgrade needs a backup" in done.stderr and "backup restore FILE" in done.stderr
        assert "Traceback" not in done.stderr
    assert (await recognise(ours)).kind is Kind.NEWER


async def test_a_newer_database_that_does_not_say_its_version_is_refused_as_well(imported: Config) -> None:
    ours = beside(imported.database)
    await run_on(ours, "UPDATE auth_alembic_version SET version_num = '9001'", "DROP TABLE auth_made_by")
    found = await recognise(ours)
    assert (found.kind, found.release) == (Kind.NEWER, "")


async def test_a_lost_database_is_restored_beside_headscales(imported: Config, tmp_path: Path) -> None:
    """Also after a newer version had it: the remedy of the refusal is followed."""
    ours = beside(imported.database)
    before = await tailnet_of(ours)
    await _put_aside(ours)
    done = headscale(tmp_path, "backup", "restore", str(tmp_path / "first.backup"))
    assert done.returncode == 0, done.stderr
    assert await tailnet_of(ours) == before
    assert (await place_of(imported)).database == ours
    checked = headscale(tmp_path, "db", "check")
    assert (checked.returncode, checked.stdout) == (0, "ok\n"), checked.stderr


async def _put_aside(database: DatabaseConfig) -> None:
    if database.type == "sqlite":
        path = database.sqlite.path
        moved = path.with_name(f"{path.name}.newer")
        await run_on(database, "UPDATE auth_alembic_version SET version_num = '9001'")
        done = headscale(path.parent, "db", "check")
        assert f"put it aside (mv {path} {moved})" in done.stderr
        path.rename(moved)
        return
    name = database.postgres.name
    psql(database.postgres.host, "smartscale", f'ALTER DATABASE "{name}" RENAME TO "{name}_newer"')
