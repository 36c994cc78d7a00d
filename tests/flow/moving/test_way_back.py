"""The way back: after an import and use each file of the old server is as it was, its database's log and index too."""

from __future__ import annotations

import hashlib
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cli.moving.places import answers
from services.shared.config.model import Config
from tests.flow.moving.installations import unpack
from tests.flow.moving.test_import_refusals import PYTHON, headscale


def fingerprints(folder: Path) -> dict[str, tuple[str, int, int, int, int]]:
    """Digest, mode, owner, size and time of change of each file."""
    found = {}
    for file in folder.iterdir():
        if file.is_file():
            now = file.stat()
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            found[file.name] = (digest, now.st_mode, now.st_uid, now.st_size, now.st_mtime_ns)
    return found


def check_unchanged(folder: Path, before: dict[str, tuple[str, int, int, int, int]]) -> None:
    """Compare the files of the old server; ours are new ones beside them."""
    after = fingerprints(folder)
    assert {name: after.get(name) for name in before} == before
    assert not {name for name in after.keys() - before.keys() if name.startswith("db.sqlite")}


def left_by_a_kill(path: Path) -> None:
    """Leave log and index beside the file, as a server does that was killed."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("UPDATE nodes SET last_seen = '2026-11-30 01:02:03+00:00' WHERE id = 1")
        connection.commit()
        left = {file: file.read_bytes() for file in path.parent.glob(f"{path.name}*")}
    for file, content in left.items():
        file.write_bytes(content)


@contextmanager
def served(folder: Path, config: Config) -> Iterator[None]:
    """Run our server until the end of the block."""
    run = [*PYTHON, "-c", str(folder / "config.yaml"), "serve"]
    with (folder / "smartscale.sqlite.log").open("wb") as log, subprocess.Popen(run, stdout=log, stderr=log) as server:
        try:
            deadline = time.monotonic() + 60
            while not answers(config.unix_socket) and server.poll() is None and time.monotonic() < deadline:
                with pytest.raises(subprocess.TimeoutExpired):
                    server.wait(0.1)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0, (folder / "smartscale.sqlite.log").read_text()[-2000:]


@pytest.mark.parametrize(("release", "killed"), [("0.22.3", False), ("0.29.2", True)], ids=["stopped", "killed"])
def test_nothing_of_the_old_server_changes_by_an_import_and_use(release: str, killed: bool, tmp_path: Path) -> None:
    changes = {
        "listen_addr": "127.0.0.1:0", "metrics_listen_addr": "", "grpc_listen_addr": "127.0.0.1:0", "oidc": {},
        "unix_socket": str(tmp_path / "hs.sock"), "derp.server.stun_listen_addr": "127.0.0.1:0",
        "derp.server.listen_addr": "127.0.0.1:0",
    }  # fmt: skip
    config = unpack(release, tmp_path, changes)
    for name in ("noise_private.key", "db.sqlite"):
        (tmp_path / name).chmod(0o644)  # a mode that we would not choose
    if killed:
        path = config.database.sqlite.path
        left_by_a_kill(path)
        assert (tmp_path / "db.sqlite-wal").stat().st_size and (tmp_path / "db.sqlite-shm").stat().st_size
    before = fingerprints(tmp_path)
    for words in (["configtest"], ["import", "--dry-run"], ["import"]):
        done = headscale(tmp_path, *words)
        assert done.returncode == (words == ["configtest"]), done.stderr
        check_unchanged(tmp_path, before)
    with served(tmp_path, config):
        for words in (
            ["users", "create", "newcomer"], ["nodes", "rename", "-i", "1", "renamed"], ["nodes", "expire", "-i", "2"],
            ["preauthkeys", "create", "-u", "1"], ["apikeys", "create"], ["nodes", "delete", "-i", "3", "--force"],
        ):  # fmt: skip
            done = headscale(tmp_path, *words)
            assert done.returncode == 0, (words, done.stderr)
    check_unchanged(tmp_path, before)
    with served(tmp_path, config):
        assert '"renamed"' in headscale(tmp_path, "nodes", "list", "-o", "json").stdout
    assert headscale(tmp_path, "backup", "create", str(tmp_path / "smartscale.sqlite.backup")).returncode == 0
    check_unchanged(tmp_path, before)
