"""The file of a backup: a ZIP of tables as lines of JSON, of private keys, and of a manifest with a digest of each.

    manifest.json          format, version, revisions of the tables, and of each member its SHA-256 and number of rows
    tables/NAME.jsonl      a list of values for each row, in the order of the manifest's columns
    keys/NAME              a private key file as it is

A value is what JSON has, or an object with one key: `b` bytes in base64, `t` a time, `j` a JSON value of its own. So
rows of SQLite and of PostgreSQL look alike. The archive knows nothing of databases.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from cli.frame.errors import CommandError

FORMAT = 1
MANIFEST = "manifest.json"
MAX_MANIFEST = 1 << 20
MAX_LINE = 64 << 20
"""Bytes of one row; the largest real ones are compiled policies of some MiB."""
KINDS = ("plain", "bytes", "time", "json")

Row = list[object]
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, KeyError, ValueError, EOFError, RuntimeError)
"""Exceptions of `zipfile` and `json` for damaged bytes."""


class DamagedBackupError(CommandError):
    """The file is not a backup, or differs from what was written."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "use another backup; headscale backup verify FILE checks one")


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One table in the manifest."""

    columns: list[str]
    kinds: list[str]
    """For each column one of KINDS."""
    rows: int
    sha256: str
    last_id: int = 0
    """Greatest id that the database gave in it, if it gives ids."""


@dataclass(slots=True)
class Manifest:
    """The manifest of a backup: its origin, and the digest of each member."""

    format: int
    version: str
    """Of the smartscale that wrote it."""
    created: str
    database: str
    """`sqlite` or `postgres`."""
    revisions: dict[str, str]
    tables: dict[str, TableEntry] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each private key."""


class BackupWriter:
    """Writer of a backup, member by member."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self._manifest = manifest

    def table(self, name: str, columns: list[str], kinds: list[str], last_id: int) -> TableWriter:
        """Begin a table."""
        return TableWriter(self._zip, self._manifest, name, columns, kinds, last_id)

    def key(self, name: str, content: bytes) -> None:
        """Add a private key."""
        self._zip.writestr(f"keys/{name}", content)
        self._manifest.keys[name] = hashlib.sha256(content).hexdigest()

    def close(self) -> None:
        """Add the manifest and end the file."""
        self._zip.writestr(MANIFEST, json.dumps(asdict(self._manifest), indent=1))
        self._zip.close()


class TableWriter:
    """Writer of the rows of one table; only one may be open at a time."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        manifest: Manifest,
        name: str,
        columns: list[str],
        kinds: list[str],
        last_id: int,
    ) -> None:
        self._file = archive.open(f"tables/{name}.jsonl", "w", force_zip64=True)
        self._manifest = manifest
        self._name = name
        self._columns, self._kinds, self._last_id = columns, kinds, last_id
        self._digest = hashlib.sha256()
        self.rows = 0

    def write(self, rows: Iterable[Iterable[object]]) -> None:
        """Add rows."""
        for row in rows:
            values = [_packed(value, kind) for value, kind in zip(row, self._kinds, strict=True)]
            line = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            self._digest.update(line)
            self._file.write(line)
            self.rows += 1

    def close(self) -> None:
        """End the table and note it in the manifest."""
        self._file.close()
        digest = self._digest.hexdigest()
        self._manifest.tables[self._name] = TableEntry(self._columns, self._kinds, self.rows, digest, self._last_id)


class BackupReader:
    """Reader of a backup; every member is compared with its digest."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            with self._zip.open(MANIFEST) as file:
                written = json.loads(file.read(MAX_MANIFEST))
            entries = {name: TableEntry(**entry) for name, entry in written.pop("tables").items()}
            self.manifest = Manifest(**written, tables=entries)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}", "check the path") from None
        except (*_BROKEN, TypeError, AttributeError):
            raise DamagedBackupError(f"{path} is no backup, or a damaged one") from None
        if self.manifest.format > FORMAT:
            self.close()
            raise CommandError(
                f"{path} was written by a newer smartscale ({self.manifest.version})", "restore it with that version"
            )

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def rows(self, name: str) -> Iterator[Row]:
        """Give the rows of a table.

        Raises:
            DamagedBackupError: they are not those that were written.
        """
        entry = self.manifest.tables[name]
        digest, number = hashlib.sha256(), 0
        try:
            with self._zip.open(f"tables/{name}.jsonl") as file:
                while line := file.readline(MAX_LINE):
                    digest.update(line)
                    number += 1
                    values = json.loads(line)
                    if not isinstance(values, list) or len(values) != len(entry.columns):
                        raise DamagedBackupError(f"table {name}: row {number} has another number of values")
                    yield [_unpacked(value) for value in values]
        except (*_BROKEN, OSError):
            raise DamagedBackupError(f"table {name} is damaged after row {number}") from None
        if digest.hexdigest() != entry.sha256 or number != entry.rows:
            raise DamagedBackupError(f"table {name} differs from its digest in the manifest")

    def key(self, name: str) -> bytes:
        """Return a private key.

        Raises:
            DamagedBackupError: its digest differs.
        """
        try:
            content = self._zip.read(f"keys/{name}")
        except (*_BROKEN, OSError):
            raise DamagedBackupError(f"key {name} is damaged") from None
        if hashlib.sha256(content).hexdigest() != self.manifest.keys[name]:
            raise DamagedBackupError(f"key {name} differs from its digest in the manifest")
        return content


def _packed(value: object, kind: str) -> object:
    if value is None:
        return None
    if kind == "json":
        return {"j": value}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"t": value.isoformat()}
    return value


def _unpacked(value: object) -> object:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "b":
        return base64.b64decode(inner, validate=True)
    return datetime.fromisoformat(inner) if kind == "t" else inner
