"""One table of what an import is given that it cannot use, from SQLite and from PostgreSQL.

Each is answered by one message that names cause and remedy, leaves the old database byte for byte and the target
without a row, and once the cause is gone the same command imports everything.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.shared.config.model import Config, DatabaseConfig
from services.shared.db.place import beside
from services.shared.db.untouched import MissingDatabaseError
from tests.fakes import postgres
from tests.flow.moving.installations import dump, psql, restored, unpack
from tests.flow.moving.target import tailnet_of
from tests.flow.moving.test_import_refusals import PYTHON

HOLD_SQLITE = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "c.execute('PRAGMA locking_mode=EXCLUSIVE'); c.execute('BEGIN EXCLUSIVE')\n"
    "print('held', flush=True); sys.stdin.read()"
)
AS_MORTAL = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *PYTHON]
"""As root without the right to pass over the modes of files."""
KILLED = [
    sys.executable,
    "-c",
    "import os, signal; from cli.moving import keyfiles; from cli.__main__ import main\n"
    "keyfiles.write = lambda copies: os.kill(os.getpid(), signal.SIGKILL)\n"  # all rows are written, none committed
    "main()",
]

IMPATIENT = [
    sys.executable,
    "-c",
    "from services.shared.db import untouched; from cli.__main__ import main\nuntouched.LOCK_TIMEOUT = 1\nmain()",
]
"""Waits a second for what others have locked."""


@dataclass
class Old:
    """An installation of 0.29.2 with its own configuration."""

    kind: str
    folder: Path
    config: Config
    code: list[str] = field(default_factory=lambda: list(PYTHON))
    cleanup: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def target(self) -> DatabaseConfig:
        """Where the import writes."""
        return beside(self.config.database)

    def change(self, *statements: str) -> None:
        """Change the old database, and leave it as a server that ended in order does."""
        if self.kind == "postgres":
            for statement in statements:
                psql(self.config.database.postgres.host, self.config.database.postgres.name, statement)
            return
        with closing(sqlite3.connect(self.config.database.sqlite.path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode=DELETE")

    def content(self) -> bytes:
        """Everything in the old database."""
        if self.kind == "postgres":
            return dump(self.config.database)
        path = self.config.database.sqlite.path
        return b"".join(file.name.encode() + file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))

    def run(self, *words: str, code: list[str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command with the configuration."""
        run = [*(code or self.code), "-c", str(self.folder / "config.yaml"), *words]
        return subprocess.run(run, capture_output=True, text=True, timeout=120)


@pytest.fixture(params=["sqlite", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Old]:
    """The installation, whole."""
    folder = tmp_path / "state"
    if request.param == "sqlite":
        made = Old("sqlite", folder, unpack("0.29.2", folder))
    else:
        server: DatabaseConfig = request.getfixturevalue("server")
        database = restored(server, "0.29.2-postgres", f"bad_{abs(hash(request.node.name)) % 10**9}")
        changes = {"host": database.host, "name": database.name, "user": "smartscale"}
        config = unpack("0.29.2-postgres", folder, {"database": {"type": "postgres", "postgres": changes}})
        made = Old("postgres", folder, config)
    with made.cleanup:
        yield made


def _locked(old: Old) -> None:
    if old.kind == "sqlite":
        run = [sys.executable, "-c", HOLD_SQLITE, str(old.config.database.sqlite.path)]
    else:
        where = postgres.programs()
        assert where is not None
        place = old.config.database.postgres
        run = [str(where / "psql"), "-q", "-h", place.host, "-U", "smartscale", "-d", place.name]
    other = subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None and other.stdout is not None
    old.cleanup.callback(lambda: other.communicate("" if old.kind == "sqlite" else "ROLLBACK;\n"))
    if old.kind == "postgres":
        other.stdin.write("BEGIN; LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE;\n\\echo held\n")
        other.stdin.flush()
    assert other.stdout.readline() == "held\n"


def _unreadable(old: Old) -> None:
    if old.kind == "sqlite":
        if os.geteuid() == 0:
            old.code = AS_MORTAL
        path = old.config.database.sqlite.path
        path.chmod(0)
        old.cleanup.callback(path.chmod, 0o600)
        return
    role, place = f"role_{old.config.database.postgres.name}", old.config.database.postgres
    psql(place.host, place.name, f"CREATE ROLE {role} LOGIN")
    file = old.folder / "config.yaml"
    written = file.read_text()
    file.write_text(written.replace("user: smartscale", f"user: {role}"))
    old.cleanup.callback(file.write_text, written)


def _damaged(old: Old) -> None:
    path = old.config.database.sqlite.path
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(len(content) - 100))
    old.cleanup.callback(path.write_bytes, content)


def _other(old: Old) -> None:
    if old.kind == "postgres":
        old.change("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "CREATE TABLE recipes (id integer)")
        return
    old.config.database.sqlite.path.unlink()
    old.change("CREATE TABLE recipes (id integer)")


def _half(old: Old) -> None:
    step = "202602201200-clear-tagged-node-user-id"
    old.change(f"DELETE FROM migrations WHERE id = '{step}'")
    old.cleanup.callback(old.change, f"INSERT INTO migrations VALUES ('{step}')")


def _later(old: Old) -> None:
    old.change("INSERT INTO migrations VALUES ('203001010000-everything-is-different')")
    old.cleanup.callback(old.change, "DELETE FROM migrations WHERE id LIKE '2030%'")


def _policy(old: Old) -> None:
    old.change('UPDATE policies SET data = \'{"acls": [{"action": "drop"}]}\'')
    old.cleanup.callback(old.change, "UPDATE policies SET data = '{}'")


def _read_only(old: Old) -> None:
    """The folder that the target would be made in."""
    if os.geteuid() == 0:
        old.code = AS_MORTAL
    old.folder.chmod(0o555)
    old.cleanup.callback(old.folder.chmod, 0o755)


def _full(old: Old) -> None:
    mount = (
        f'mount -t tmpfs -o size=600k none "{old.folder}" && cp -p "{old.folder}.copy/"* "{old.folder}" && exec "$@"'
    )
    shutil.copytree(old.folder, f"{old.folder}.copy")
    for name in ("expected.json", "identities.json", "secrets.json", "secrets_check.json"):
        Path(f"{old.folder}.copy", name).unlink(missing_ok=True)
    code, old.code = old.code, ["unshare", "-m", "sh", "-c", mount, "sh", *PYTHON]
    old.cleanup.callback(setattr, old, "code", code)


def _used_target(old: Old) -> None:
    """A server of ours holds the target."""
    path = old.target.sqlite.path
    code = (
        "import sys; from pathlib import Path; from services.shared.db.file import hold\n"
        "with hold(Path(sys.argv[1]), ('registry', 'policy', 'auth')):\n    print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    old.cleanup.callback(lambda: other.communicate(""))
    assert other.stdout is not None and other.stdout.readline() == "held\n"


@dataclass(frozen=True)
class Case:
    """How to spoil it, and what is said of it."""

    spoil: Callable[[Old], None]
    what: str
    remedy: str
    on_postgres: tuple[str, str] | None = ("", "")
    """What is said of PostgreSQL where that differs; None: it cannot happen there."""
    cured: bool = True
    as_root: bool = False


CASES = {
    "locked": Case(
        _locked,
        "is in use by another process",
        "stop Headscale first",
        ("is locked by another client", "stop Headscale, end"),
    ),
    "unreadable": Case(_unreadable, "cannot be read by uid", "chown", ("permission denied for table", "GRANT SELECT")),
    "damaged": Case(_damaged, "is damaged", ".recover", None),
    "of another program": Case(_other, "is another program's", "name Headscale's database", cured=False),
    "half migrated": Case(_half, "half migrated: step 202602201200", "let it finish, stop it, and import again"),
    "of a later release": Case(_later, "changed by a later Headscale than 0.30", "let it finish, stop it"),
    "a policy that is refused": Case(_policy, "the policy cannot be used here", "--policy FILE"),
    "a folder that is read-only": Case(_read_only, "cannot be written by uid", "run as its owner", None, as_root=True),
    "a disk that is full": Case(_full, "the disk is full", "make room, then run it again", None, as_root=True),
    "a target in use": Case(_used_target, "is in use by another server", "stop that server", None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_imported_is_refused_by_one_message_and_nothing_is_lost(name: str, old: Old) -> None:
    case = CASES[name]
    what, remedy = case.what, case.remedy
    if old.kind == "postgres":
        if case.on_postgres is None:
            pytest.skip("this does not happen to PostgreSQL")
        what, remedy = case.on_postgres[0] or what, case.on_postgres[1] or remedy
    if case.as_root and (os.geteuid() != 0 or shutil.which("unshare") is None):
        pytest.skip("mounts a small disk or gives up rights, as root")
    case.spoil(old)
    before = old.content() if name not in ("locked", "unreadable") else b""
    done = old.run("import")
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    *message, last = done.stderr.splitlines()
    assert what in "\n".join(message) and remedy in last, done.stderr
    assert not before or old.content() == before
    assert _nodes(old) == 0
    if case.cured:
        old.cleanup.close()
        again = old.run("import", code=list(PYTHON))
        assert again.returncode == 0, again.stderr
        assert _nodes(old) == 26


@pytest.mark.parametrize("words", [("serve",), ("import",), ("import", "--dry-run"), ("configtest",)])
def test_a_locked_table_ends_every_command_that_reads_the_database(words: tuple[str, ...], old: Old) -> None:
    if old.kind == "sqlite":
        pytest.skip("tables of SQLite cannot be locked alone")
    _locked(old)
    before = _nodes(old)
    done = old.run(*words, code=IMPATIENT)
    assert done.returncode == 1, (words, done)
    assert "Traceback" not in done.stderr and "is locked by another client" in done.stdout + done.stderr, (words, done)
    assert _nodes(old) == before


def test_an_import_that_is_killed_before_its_commit_leaves_nothing_and_is_run_again(old: Old) -> None:
    before = old.content()
    assert old.run("import", code=KILLED).returncode == -signal.SIGKILL
    assert (_nodes(old), old.content()) == (0, before)
    started = old.run("configtest")
    assert started.returncode == 1 and "to take it over into" in started.stderr
    assert old.run("import").returncode == 0
    assert (_nodes(old), old.content()) == (26, before)


def test_a_damaged_row_is_reported_and_the_rest_comes_over(old: Old) -> None:
    old.change(
        "UPDATE nodes SET machine_key = 'mkey:12', given_name = NULL WHERE id = 1",
        "UPDATE nodes SET tags = '[' WHERE id = (SELECT max(id) FROM nodes WHERE user_id IS NOT NULL)",
        "UPDATE users SET name = NULL WHERE id = 2",
    )
    done = old.run("import", "-o", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["nodes"]["found"], report["nodes"]["imported"], report["nodes"]["left_out"]) == (26, 25, 1)
    noted = {(one["kind"], one["id"]): one["what"] for one in report["problems"]}
    assert "tags is no JSON list" in noted.values()
    assert noted["node", "1"] == "machine_key is no MachineKey"
    assert noted["user", "2"] == "has no name"
    assert _nodes(old) == 25


def _nodes(old: Old) -> int:
    import asyncio

    target = old.target
    if target.type == "sqlite" and not target.sqlite.path.is_file():
        return 0

    async def count() -> int:
        from services.shared.db.contents import recognise

        try:
            found = await recognise(target)
        except MissingDatabaseError:
            return 0
        return len((await tailnet_of(target)).nodes) if found.schema else 0

    return asyncio.run(count())
