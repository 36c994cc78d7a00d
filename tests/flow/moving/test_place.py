"""Which database is used is decided from names in it, at little cost, also while a server writes to it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect

import pytest

from cli.moving.moving import ImportOptions, run
from services.shared.db import untouched
from services.shared.db.contents import recognise
from services.shared.db.place import RefusedDatabaseError, beside, place_of
from services.shared.db.recognition import Kind
from tests.flow.moving.installations import unpack


async def test_a_database_of_ours_in_use_is_recognised_without_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = unpack("0.29.2", tmp_path)
    await run(config, ImportOptions(), lambda report: None)
    ours = beside(config.database)
    monkeypatch.setattr(untouched, "_copied", None)
    with closing(connect(ours.sqlite.path)) as server:
        server.execute("PRAGMA wal_autocheckpoint=0")
        server.execute("UPDATE registry_counters SET last = last + 1")
        server.commit()
        assert ours.sqlite.path.with_name("smartscale.sqlite-wal").stat().st_size
        assert (await recognise(ours)).kind is Kind.OURS


async def test_the_same_configuration_means_the_imported_file_also_when_the_old_one_is_gone(tmp_path: Path) -> None:
    config = unpack("0.29.2", tmp_path)
    with pytest.raises(RefusedDatabaseError):
        await place_of(config)
    await run(config, ImportOptions(), lambda report: None)
    assert (await place_of(config)).database == beside(config.database)
    config.database.sqlite.path.unlink()
    assert (await place_of(config)).database == beside(config.database)


async def test_a_new_installation_uses_the_configured_file(tmp_path: Path) -> None:
    config = unpack("0.29.2", tmp_path)
    new = replace(config.database, sqlite=replace(config.database.sqlite, path=tmp_path / "new" / "db.sqlite"))
    assert (await place_of(replace(config, database=new))).database == new
    assert not (tmp_path / "new").exists()
