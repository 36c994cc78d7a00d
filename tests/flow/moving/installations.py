"""Installations of Headscale, unpacked so that they can be started on and imported."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from services.shared.config import Config, load
from services.shared.config.model import DatabaseConfig, PostgresConfig
from tests.fakes import postgres

DATA = Path(__file__).parents[2] / "installations"
SQLITE = ("0.22.3", "0.23.0", "0.24.3", "0.26.1", "0.27.1", "0.28.0", "0.29.2", "head")
POSTGRES = ("0.22.3-postgres", "0.26.1-postgres", "0.29.2-postgres")


def unpack(name: str, folder: Path, changes: dict[str, Any] | None = None) -> Config:
    """Lay an installation out in a folder as it was in /var/lib/headscale, and read its configuration.

    `changes` are keys of the configuration, each with dots, that are other there.
    """
    data = DATA / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in data.iterdir():
        if file.suffix == ".gz":
            (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
        elif file.is_file() and file.name != "config.yaml":
            shutil.copy(file, folder / file.name)
    written = yaml.safe_load((data / "config.yaml").read_text().replace("/var/lib/headscale", str(folder)))
    for key, value in (changes or {}).items():
        *sections, last = key.split(".")
        at = written
        for section in sections:
            at = at.setdefault(section, {})
        at[last] = value
    written.setdefault("state_dir", str(folder))
    (folder / "config.yaml").write_text(yaml.safe_dump(written, allow_unicode=True))
    return load(folder / "config.yaml", {})


def read(name: str, file: str) -> Any:
    """One of the JSON files of an installation."""
    return json.loads((DATA / name / file).read_text())


def restored(server: DatabaseConfig, name: str, database: str) -> PostgresConfig:
    """Restore a dump into a new database of a server; gives the way to it."""
    folder = server.postgres.host
    psql(folder, "smartscale", f'CREATE DATABASE "{database}"')
    script = gzip.decompress((DATA / name / "database.sql.gz").read_bytes())
    run = [str(_program("psql")), "-q", "-h", folder, "-U", "smartscale", "-d", database]
    subprocess.run(run, input=script, check=True, capture_output=True, env={**os.environ, "PGOPTIONS": ""})
    return replace(server.postgres, name=database)


def emptied(server: DatabaseConfig, database: str) -> DatabaseConfig:
    """Make a new empty database on a server."""
    psql(server.postgres.host, "smartscale", f'CREATE DATABASE "{database}"')
    return replace(server, postgres=replace(server.postgres, name=database))


def dump(database: DatabaseConfig) -> bytes:
    """Everything in a database of PostgreSQL, as text, without what differs from dump to dump."""
    run = [str(_program("pg_dump")), "-h", database.postgres.host, "-U", "smartscale", database.postgres.name]
    lines = subprocess.run(run, check=True, capture_output=True).stdout.splitlines()
    return b"\n".join(line for line in lines if not line.startswith((b"\\restrict", b"\\unrestrict")))


def psql(folder: str, database: str, statement: str) -> None:
    """Run a statement on a server."""
    run = [str(_program("psql")), "-h", folder, "-U", "smartscale", "-d", database, "-c", statement]
    subprocess.run(run, check=True, capture_output=True)


def _program(name: str) -> Path:
    where = postgres.programs()
    assert where is not None, postgres.MISSING
    return where / name
