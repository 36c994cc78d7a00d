"""What cannot be imported is refused with one message that names cause and remedy, and leaves everything as it was."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from services.shared.config.model import Config, DatabaseConfig
from services.shared.db.contents import recognise
from services.shared.db.place import beside, place_of
from services.shared.db.untouched import MissingDatabaseError
from tests.flow.moving.installations import dump, psql, restored, unpack
from tests.flow.moving.target import tailnet_of
from tests.flow.moving.test_import_damage import edited

PYTHON = [sys.executable, "-c", "from cli.__main__ import main; main()"]


def headscale(folder: Path, *words: str, code: list[str] = PYTHON) -> subprocess.CompletedProcess[str]:
    """Run a command with the configuration of a folder."""
    run = [*code, "-c", str(folder / "config.yaml"), *words]
    return subprocess.run(run, capture_output=True, text=True, timeout=120)


def digest(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def _nonsense(path: Path) -> None:
    path.write_bytes(b"this is a letter and no database" * 100)


def _other(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipes (id integer)")
        connection.commit()


def _later(path: Path) -> None:
    with edited(path) as connection:
        connection.execute("INSERT INTO migrations VALUES ('203001010000-everything-is-different')")


def _half(path: Path) -> None:
    with edited(path) as connection:
        connection.execute("DELETE FROM migrations WHERE id = '202511131445-node-forced-tags-to-tags'")


def _torn(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(len(content) - 100))


def _newer(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE registry_alembic_version (version_num text)")
        connection.execute("INSERT INTO registry_alembic_version VALUES ('9001')")
        connection.execute("CREATE TABLE registry_made_by (version text)")
        connection.execute("INSERT INTO registry_made_by VALUES ('9.1.0, commit abc')")
        connection.commit()


WRONG: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "no database": (_nonsense, "is not a SQLite database", "name another file"),
    "another program's": (
        _other,
        "belongs to another program: its tables are recipes",
        "name another database in database.sqlite.path",
    ),
    "of a later Headscale": (_later, "changed by a later Headscale than 0.30", "/config.yaml import"),
    "half migrated": (
        _half,
        "half migrated: step 202511131445-node-forced-tags-to-tags is missing",
        "/config.yaml import",
    ),
    "damaged": (_torn, "is damaged", "db.sqlite .recover"),
    "of a newer smartscale": (
        _newer,
        "made by a newer smartscale (9.1.0, commit abc): the tables of registry have version 9001",
        "/config.yaml backup restore",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_server_does_not_start_on_such_a_database_and_leaves_it_as_it_is(case: str, tmp_path: Path) -> None:
    spoil, what, remedy = WRONG[case]
    config = unpack("0.29.2", tmp_path, {"listen_addr": "127.0.0.1:0", "metrics_listen_addr": ""})
    spoil(config.database.sqlite.path)
    before = digest(tmp_path)
    for words in (["serve"], ["serve", "registry"]):
        done = headscale(tmp_path, *words)
        assert done.returncode == 1
        if words == ["serve"]:
            (line,) = [line for line in done.stderr.splitlines() if "cannot start" in line]
            assert what in line and remedy in line
        assert "Traceback" not in done.stderr
        assert digest(tmp_path) == before


@pytest.mark.parametrize("case", WRONG)
def test_such_a_database_is_not_imported_either(case: str, tmp_path: Path) -> None:
    spoil, _, _ = WRONG[case]
    config = unpack("0.29.2", tmp_path)
    spoil(config.database.sqlite.path)
    before = digest(tmp_path)
    done = headscale(tmp_path, "import")
    assert done.returncode == 1
    assert done.stderr.startswith("headscale: ") and len(done.stderr.splitlines()) == 2
    assert digest(tmp_path) == before


@pytest.mark.parametrize("name", ["0.22.3", "0.27.1", "0.29.2"])
def test_a_server_on_headscales_database_says_what_it_is_and_what_to_type(name: str, tmp_path: Path) -> None:
    unpack(name, tmp_path)
    before = digest(tmp_path)
    done = headscale(tmp_path, "serve")
    assert done.returncode == 1
    release = {"0.22.3": "0.22", "0.27.1": "0.27", "0.29.2": "0.29.2"}[name]
    nodes = {"0.22.3": 25}.get(name, 26)
    assert f"is the database of Headscale {release} with 5 users and {nodes} nodes" in done.stderr
    assert (
        f"headscale -c {tmp_path}/config.yaml import` to take it over into {tmp_path}/smartscale.sqlite" in done.stderr
    )
    assert "to go back, start Headscale again" in done.stderr
    assert digest(tmp_path) == before


def test_a_dry_run_writes_nothing_and_says_what_an_import_would_do(tmp_path: Path) -> None:
    unpack("0.26.1", tmp_path)
    before = digest(tmp_path)
    done = headscale(tmp_path, "import", "--dry-run", "-o", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["dry_run"]
    assert report["source"] == {
        "release": "0.26", "database": f"sqlite {tmp_path}/db.sqlite", "schema": "202505141324"
    }  # fmt: skip
    assert report["nodes"] == {"found": 26, "imported": 26, "left_out": 0, "already_there": 0}
    assert digest(tmp_path) == before


def test_a_tailnet_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    unpack("0.29.2", tmp_path)
    assert headscale(tmp_path, "import").returncode == 0
    again = headscale(tmp_path, "import")
    assert again.returncode == 1
    assert "is not empty: it has 5 users, 26 nodes and 16 keys" in again.stderr and "--merge" in again.stderr


async def test_an_import_that_is_killed_half_way_leaves_nothing_and_is_run_again(tmp_path: Path) -> None:
    config = unpack("0.29.2", tmp_path)
    code = (
        "import os, signal; from cli.moving import keyfiles; from cli.__main__ import main\n"
        "keyfiles.write = lambda copies: os.kill(os.getpid(), signal.SIGKILL)\n"  # all rows are written, none committed
        "main()"
    )
    killed = headscale(tmp_path, "import", code=[sys.executable, "-c", code])
    assert killed.returncode == -9
    tailnet = await tailnet_of(beside(config.database))
    assert (tailnet.users, tailnet.nodes, tailnet.preauth_keys, tailnet.policy) == ({}, {}, {}, "")
    assert headscale(tmp_path, "import").returncode == 0
    assert len((await tailnet_of(beside(config.database))).nodes) == 26


def test_a_database_that_is_in_use_is_refused(tmp_path: Path) -> None:
    config = unpack("0.29.2", tmp_path)
    holder = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=WAL')\n"
        "c.execute('SELECT count(*) FROM users').fetchone(); print('held', flush=True); sys.stdin.read()"
    )
    path = str(config.database.sqlite.path)
    run = [sys.executable, "-c", holder, path]
    with subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        done = headscale(tmp_path, "import")
        previewed = headscale(tmp_path, "import", "--dry-run", "-o", "json")
        other.communicate("")
    assert previewed.returncode == 0 and json.loads(previewed.stdout)["nodes"]["imported"] == 26, previewed.stderr
    assert done.returncode == 1
    assert f"{path} is in use by another process" in done.stderr and "stop Headscale first" in done.stderr


def test_a_policy_that_is_refused_stops_the_import_until_another_is_named(tmp_path: Path) -> None:
    config = unpack("0.29.2", tmp_path)
    with edited(config.database.sqlite.path) as connection:
        connection.execute('UPDATE policies SET data = \'{"acls": [{"action": "drop"}]}\'')
    done = headscale(tmp_path, "import")
    assert done.returncode == 1
    assert "the policy cannot be used here" in done.stderr and "--policy FILE" in done.stderr
    # What the attempt left beside the old file must not be taken for the tailnet.
    started = headscale(tmp_path, "serve")
    assert started.returncode == 1 and "to take it over into" in started.stderr
    tested = headscale(tmp_path, "configtest")
    assert tested.returncode == 1 and "is the database of Headscale 0.29.2" in tested.stderr
    assert headscale(tmp_path, "import", "--policy", str(tmp_path / "policy.hujson")).returncode == 0


def test_a_key_of_another_server_in_the_way_is_refused(tmp_path: Path) -> None:
    unpack("0.29.2", tmp_path)
    other = tmp_path / "other.key"
    other.write_text("privkey:" + "11" * 32)
    done = headscale(tmp_path, "import", "--noise-key", str(other))
    assert done.returncode == 1 and "has another key than" in done.stderr and "1111" not in done.stderr
    (tmp_path / "noise_private.key").unlink()
    assert headscale(tmp_path, "import", "--noise-key", str(other)).returncode == 0
    assert (tmp_path / "noise_private.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounts a small disk, as root")
def test_a_disk_that_is_full_leaves_nothing_behind_and_says_so(tmp_path: Path) -> None:
    unpack("0.29.2", tmp_path / "old")
    small = tmp_path / "small"
    small.mkdir()
    (tmp_path / "config.yaml").write_text(
        (tmp_path / "old" / "config.yaml").read_text().replace(f"{tmp_path}/old/db.sqlite", f"{small}/new.sqlite")
    )
    script = f'mount -t tmpfs -o size=300k none {small} && exec "$@"'
    run = ["unshare", "-m", "sh", "-c", script, "sh", *PYTHON]
    done = headscale(tmp_path, "import", "--from", str(tmp_path / "old" / "db.sqlite"), code=run)
    assert done.returncode == 1
    assert "the disk is full" in done.stderr and "make room" in done.stderr


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    unpack("0.29.2", tmp_path)
    if os.geteuid() != 0:
        tmp_path.chmod(0o555)
    else:
        (tmp_path / "smartscale.sqlite").mkdir()
    done = headscale(tmp_path, "import")
    tmp_path.chmod(0o755)
    assert done.returncode == 1 and "smartscale.sqlite" in done.stderr


@pytest.fixture
def configured(tmp_path: Path, server: DatabaseConfig, request: pytest.FixtureRequest) -> Config:
    """A configuration that names Headscale's database on PostgreSQL."""
    name = f"hs_{abs(hash(request.node.name)) % 10**9}"
    old = restored(server, "0.26.1-postgres", name)
    postgres = {"host": old.host, "name": name, "user": "smartscale"}
    return unpack("0.26.1-postgres", tmp_path, {"database": {"type": "postgres", "postgres": postgres}})


async def test_headscales_database_on_postgresql_is_imported_without_arguments(
    configured: Config, tmp_path: Path
) -> None:
    name = configured.database.postgres.name
    started = headscale(tmp_path, "serve")
    assert started.returncode == 1
    assert "is the database of Headscale 0.26 with 5 users and 26 nodes" in started.stderr
    assert "to take it over into" in started.stderr and f"{name}_smartscale" in started.stderr
    assert "the old database stays as it is; to go back, start Headscale again" in started.stderr
    before = dump(configured.database)
    previewed = headscale(tmp_path, "import", "--dry-run")
    assert previewed.returncode == 0, previewed.stderr
    with pytest.raises(MissingDatabaseError):
        await recognise(beside(configured.database))  # a preview makes none
    assert headscale(tmp_path, "import").returncode == 0
    tailnet = await tailnet_of(beside(configured.database))
    assert len(tailnet.nodes) == 26
    assert (await place_of(configured)).database == beside(configured.database)
    assert dump(configured.database) == before
    again = headscale(tmp_path, "import")
    assert again.returncode == 1 and "is not empty" in again.stderr


def test_who_may_not_make_databases_is_told_what_to_type(configured: Config, tmp_path: Path) -> None:
    name, socket = configured.database.postgres.name, configured.database.postgres.host
    role = f"plain_{name}"
    statements = f"CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};"
    statements += f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role};"
    psql(socket, name, statements)
    postgres = {"host": socket, "name": name, "user": role}
    unpack("0.26.1-postgres", tmp_path, {"database": {"type": "postgres", "postgres": postgres}})
    done = headscale(tmp_path, "import")
    assert done.returncode == 1
    remedy = f"sudo -u postgres createdb --owner={role} {name}_smartscale; then run this again"
    assert f"the user {role} may not make databases" in done.stderr and remedy in done.stderr
    psql(socket, name, f"CREATE DATABASE {name}_smartscale OWNER {role}")
    assert headscale(tmp_path, "import").returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, as root")
def test_what_root_imports_belongs_to_the_user_that_the_server_runs_as(tmp_path: Path) -> None:
    """The unit of systemd runs as the owner of the folder, and an administrator imports as root."""
    folder = tmp_path / "state"
    unpack("0.29.2", folder)
    key = folder / "noise_private.key"
    key.rename(tmp_path / "old.key")
    for file in (folder, *folder.iterdir()):
        os.chown(file, 4711, 4712)
    done = headscale(folder, "import", "--noise-key", str(tmp_path / "old.key"))
    assert done.returncode == 0, done.stderr
    for file in ("smartscale.sqlite", "smartscale.sqlite.lock", "noise_private.key"):
        found = (folder / file).stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (4711, 4712, 0o600), file


def test_a_backup_into_a_folder_that_is_missing_names_the_folder(tmp_path: Path) -> None:
    unpack("0.29.2", tmp_path)
    assert headscale(tmp_path, "import").returncode == 0
    done = headscale(tmp_path, "backup", "create", str(tmp_path / "absent" / "first.backup"))
    assert done.returncode == 1
    assert (
        f"the folder {tmp_path}/absent does not exist" in done.stderr
        and f"mkdir -m 700 {tmp_path}/absent" in done.stderr
    )
