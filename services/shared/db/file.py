"""The SQLite file on disk: its mode, its lock between servers, and detection of removal or replacement.

Runs no statement. A server must not continue with a removed or replaced file: acknowledged writes would be lost at
the next start.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services.shared.db.unavailable import DatabaseUnavailableError
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_BYTES = {"registry": 0, "policy": 1, "auth": 2}
"""The byte of the lock file that each service locks, so that services of a stack may share a file."""

_held: set[tuple[Path, str]] = set()
"""Locks of this process, because POSIX locks do not exclude the process that has them."""


class DatabaseInUseError(OSError):
    """Another server uses the SQLite file; `what` and `remedy` are its text in parts."""

    def __init__(self, path: Path, process: str) -> None:
        self.what = f"{path} is in use by another server (process {process or 'unknown'})"
        self.remedy = "stop that server, or give this one a path of its own"
        super().__init__(f"database.sqlite.path: {self.what}; {self.remedy}")


def prepare(path: Path) -> None:
    """Create the file and its folder if missing, and remove other users' permissions.

    SQLite gives `-wal` and `-shm` the mode of the file. A file that exists is never opened here: to close it would
    drop the locks that SQLite has on it in this process, and the next process to close the database would then
    remove the write-ahead log in use.

    Raises:
        OSError: the file or the folder cannot be created.
    """
    _make_folder(path.parent)
    _create(path)
    for one in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            mode = stat.S_IMODE(one.stat().st_mode)
            if mode & 0o077:
                one.chmod(mode & ~0o077)
                log.info("database file made private", path=str(one), mode=f"{mode:04o}")


@contextmanager
def hold(path: Path, services: Iterable[str]) -> Iterator[None]:
    """Lock the file for these services against other servers; the kernel releases the lock with the process.

    Raises:
        DatabaseInUseError: another server has the lock.
        OSError: the lock file cannot be created.
    """
    _make_folder(path.parent)
    lock = Path(f"{path.absolute()}.lock")
    taken = [(lock, service) for service in sorted(services)]
    if any(one in _held for one in taken):  # before the file is opened: to close it would drop the locks on it
        raise DatabaseInUseError(path, str(os.getpid()))
    _create(lock)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
    try:
        for _, service in taken:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _BYTES[service])
            except OSError:
                other = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                raise DatabaseInUseError(path, other) from None
        if not path.exists() and os.fstat(descriptor).st_size:
            log.warning("database file missing, creating an empty one", path=str(path))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        _held.update(taken)
        try:
            yield
        finally:
            _held.difference_update(taken)
    finally:
        os.close(descriptor)


def give_to_owner(descriptor: int, folder: Path) -> None:
    """Give a new file that root made to the owner of its folder: the server that is to read it runs as that user."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _create(path: Path) -> None:
    """Create an empty file; one that exists stays unopened."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
        try:
            give_to_owner(descriptor, path.parent)
        finally:
            os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)


class OpenedFile:
    """The identity of the file that an engine opened first."""

    __slots__ = ("_identity", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None

    def check(self) -> None:
        """Check that the path still is the opened file.

        Raises:
            DatabaseUnavailableError: the file was removed or replaced.
        """
        try:
            found = os.stat(self._path)  # noqa: PTH116  a transaction pays for it
        except FileNotFoundError:
            if self._identity is None:
                return
            raise DatabaseUnavailableError(self._lost_text("was removed")) from None
        except OSError as error:
            raise DatabaseUnavailableError(f"the database file {self._path} cannot be seen: {error.strerror}") from None
        identity = (found.st_dev, found.st_ino)
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise DatabaseUnavailableError(self._lost_text("was replaced"))

    def _lost_text(self, what: str) -> str:
        return (
            f"the database file {self._path} {what} under the running server; "
            "nothing is stored any more: put it back, or stop the server, restore a backup and start it again"
        )
