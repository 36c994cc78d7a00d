"""Recognition of a database (ours, Headscale's, another program's, empty) by the facts that `contents` read.

Uses only names and counts; `services.shared.db.untouched` opens a database without side effects.

Headscale's release follows from the ids in its table `migrations` (a list that only grows), from `database_versions`
since 0.29, and before 0.23 from the tables `machines` and `kvs`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path

OUR_SERVICES = ("registry", "policy", "auth")

_SERVICES = Path(__file__).parents[2]
_VERSION_FILE = re.compile(r"(\d{4})_\w+\.py\Z")

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("0.23", ("202312101416", "202312101430", "202402151347", "2024041121742", "202406021630")),
    ("0.24", ("202407191627", "202408181235", "202409271400", "202501221827", "202501311657", "202502070949")),
    ("0.26", ("202502131714", "202502171819", "202505091439", "202505141324")),
    ("0.27", ("202507021200", "202510311551", "202511101554-drop-old-idx")),
    (
        "0.28",
        (
            "202511011637-preauthkey-bcrypt",
            "202511122344-remove-newline-index",
            "202511131445-node-forced-tags-to-tags",
            "202601121700-migrate-hostinfo-request-tags",
        ),
    ),
    (
        "0.29",
        (
            "202602201200-clear-tagged-node-user-id",
            "202605221435-clear-zero-time-node-expiry",
            "202606181200-recover-null-tags-node-user-id",
        ),
    ),
    (
        "0.30",
        (
            "202606191500-api-key-user-id",
            "202606191501-pre-auth-key-description",
            "202606201200-pre-auth-key-revoked",
            "202606211200-oauth-clients-and-tokens",
        ),
    ),
)
"""Headscale's migrations in the order in which they run, by the release that brought them. 0.25 brought none."""

_MADE_NEW = "SCHEMA_INIT"
"""Stands in `migrations` of a database that was made by 0.28 or later; the oldest steps are missing there."""
_ALWAYS = frozenset({"users", "pre_auth_keys", "api_keys"})


class Kind(Enum):
    """The owner of a database's tables."""

    EMPTY = "empty"
    OURS = "smartscale"
    NEWER = "newer smartscale"
    HEADSCALE = "Headscale"
    OTHER = "another program"


@dataclass(frozen=True, slots=True)
class Contents:
    """The facts of a database to judge by: names of tables with their columns, and a few values."""

    tables: Mapping[str, frozenset[str]]
    migrations: tuple[str, ...] = ()
    """Ids in Headscale's `migrations`."""
    stamp: str = ""
    """Release in Headscale's `database_versions`."""
    revisions: Mapping[str, str] = field(default_factory=dict)
    """Revision of each of our services with one in its version table."""
    made_by: Mapping[str, str] = field(default_factory=dict)
    """Version of this program that brought each service's tables to their revision, where it is recorded."""
    our_ids: int = 0
    """Ids of users and nodes that were ever given in our tables; 0: they were never used."""
    users: int = 0
    nodes: int = 0
    """Rows in Headscale's tables."""


@dataclass(frozen=True, slots=True)
class DatabaseVerdict:
    """The kind of a database, and the facts that a refusal or an import needs."""

    kind: Kind
    release: str = ""
    """Headscale's release as `0.29.2`, or as `0.26` where only that is known; of a newer smartscale its version."""
    schema: str = ""
    """The newest migration."""
    users: int = 0
    nodes: int = 0
    used: bool = False
    """True if a user or a node was ever in our tables."""
    fault: str = ""
    """Why Headscale's database cannot be read although it is recognised; empty if it can."""
    detail: str = ""
    """Names of tables, or of the revisions that this program does not know."""


@cache
def known_revisions(service: str) -> frozenset[str]:
    """Return the revisions of a service's tables that this program knows, from the names of its migration files."""
    folder = _SERVICES / service / "migrations" / "versions"
    matches = (_VERSION_FILE.match(file.name) for file in folder.iterdir())
    return frozenset(match[1] for match in matches if match)


def judge(contents: Contents) -> DatabaseVerdict:
    """Return the verdict on a database's contents."""
    names = set(contents.tables)
    ours = {name for name in names if name.startswith(tuple(f"{service}_" for service in OUR_SERVICES))}
    if contents.revisions and not (_is_headscale(names) and not contents.our_ids):
        return _ours(contents)
    if _is_headscale(names):
        return _headscale(contents)
    if rest := sorted(names - ours - {"sqlite_sequence"}):
        return DatabaseVerdict(Kind.OTHER, detail=", ".join(rest[:5]) + (", …" if len(rest) > 5 else ""))
    return DatabaseVerdict(Kind.EMPTY)


def _ours(contents: Contents) -> DatabaseVerdict:
    revisions = contents.revisions
    unknown = {
        service: f"the tables of {service} have version {revision} (known up to {max(known_revisions(service))})"
        for service, revision in sorted(revisions.items())
        if revision not in known_revisions(service)
    }
    if unknown:
        recorded = (contents.made_by.get(service, "") for service in unknown)
        return DatabaseVerdict(Kind.NEWER, next(filter(None, recorded), ""), detail=", ".join(unknown.values()))
    schema = ", ".join(f"{name} {found}" for name, found in sorted(revisions.items()))
    return DatabaseVerdict(Kind.OURS, schema=schema, used=contents.our_ids > 0)


def _is_headscale(names: Collection[str]) -> bool:
    # Up to 0.17 users were `namespaces`.
    return (
        ("users" in names or "namespaces" in names)
        and ("nodes" in names or "machines" in names)
        and ("pre_auth_keys" in names)
    )


def _headscale(contents: Contents) -> DatabaseVerdict:
    release, schema, fault = _release(contents)
    fault = fault or _missing(contents)
    return DatabaseVerdict(Kind.HEADSCALE, release, schema, contents.users, contents.nodes, fault=fault)


def _release(contents: Contents) -> tuple[str, str, str]:
    """Return release, newest migration, and what is wrong with them."""
    if not contents.migrations:
        if "namespaces" in contents.tables:
            return "0.17 or earlier", "", "it is too old: start Headscale 0.22 once on it, which brings it up to date"
        return "0.22", "db_version 1", ""
    order = [(step, release) for release, steps in MIGRATIONS for step in steps]
    present = set(contents.migrations)
    unknown = sorted(present - {step for step, _ in order} - {_MADE_NEW})
    numbers = [number for number, (step, _) in enumerate(order) if step in present]
    newest, release = order[numbers[-1]] if numbers else ("", "")
    stamp = contents.stamp.removeprefix("v")
    if release and stamp.startswith(f"{release}."):  # a build without a release leaves an older stamp there
        release = stamp
    elif newest == "202502070949":
        release = "0.24 or 0.25"
    if unknown:
        fault = f"it has been changed by a later Headscale than 0.30, which is the last one known here ({unknown[-1]})"
        return release, unknown[-1], fault
    if not numbers:
        return release, "", "its table migrations names no step that is known here"
    first = numbers[0]
    if gap := [order[number][0] for number in range(first, numbers[-1]) if order[number][0] not in present]:
        return release, newest, f"it is half migrated: step {gap[0]} is missing"
    return release, newest, ""


def _missing(contents: Contents) -> str:
    """Say which part of Headscale's schema is not there."""
    tables = contents.tables
    if lacking := sorted(_ALWAYS - set(tables)):
        return f"its table {lacking[0]} is missing"
    if "machines" in tables and "nodes" in tables:
        return "it is half migrated: it has both machines and nodes"
    nodes = tables.get("nodes") or tables["machines"]
    needed = {"id", "machine_key", "node_key", "hostname", "given_name", "user_id", "host_info"}
    if lacking := sorted(needed - nodes):
        return f"it is half migrated: its nodes have no {lacking[0]}"
    if "nodes" in tables and "approved_routes" not in nodes and "routes" not in tables:
        return "it is half migrated: routes are in neither of the places where Headscale keeps them"
    return ""
