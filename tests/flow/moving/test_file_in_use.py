"""Whether a file of SQLite is in use is asked without a trace: no lock taken, and none of this process dropped."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from services.shared.db.untouched import is_in_use

ASKER = "import sys; from pathlib import Path; from services.shared.db.untouched import is_in_use\n" + (
    "print(is_in_use(Path(sys.argv[1])))"
)


def asked_elsewhere(path: Path) -> bool:
    """What another process is told."""
    run = [sys.executable, "-c", ASKER, str(path)]
    return subprocess.run(run, capture_output=True, text=True, check=True).stdout == "True\n"


def test_asking_about_a_file_that_this_process_has_open_drops_none_of_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("SELECT * FROM t").fetchall()
        assert asked_elsewhere(path)
        for _ in range(3):
            is_in_use(path)
        assert asked_elsewhere(path)
    assert not asked_elsewhere(path)


def test_a_file_that_replaces_another_under_its_name_is_asked_about_itself(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    path.write_bytes(b"")
    assert not is_in_use(path)
    (tmp_path / "new").write_bytes(b"")
    (tmp_path / "new").rename(path)
    assert not is_in_use(path)
    assert not is_in_use(tmp_path / "absent")
