"""Imports pre-auth keys and API keys from the records of `shared.imported`, so that distributed secrets stay valid.

plain text of 48 hex digits     digest of ours; the first 12 digits are the prefix
prefix and bcrypt hash          the hash as it is, until its secret is first proven (`usecases.proof`)
owner gone                      left out, unless tags own its nodes
prefix taken                    the key with the lower id keeps it
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Table, func, insert, select

from services.auth.model.errors import InvalidInputError
from services.auth.model.secret import KeyKind, digest_of, imported_digest, read
from services.auth.model.tag import read_tags
from services.auth.sql.tables import VERSION_TABLE as VERSION_TABLE
from services.auth.sql.tables import api_keys, metadata
from services.auth.sql.tables import preauth_keys as preauth_keys
from services.auth.wiring import MIGRATIONS as MIGRATIONS
from services.shared.db.database import migrate
from services.shared.db.engine import AsyncConnection, AsyncEngine
from services.shared.db.parts import MAX_ROWS, parts
from services.shared.ids import TailnetId, UserId
from services.shared.imported import Counts, Ids, ImportedApiKey, ImportedPreAuthKey, Installation, greatest

TABLES = tuple(metadata.sorted_tables)
"""All tables of this service, for backups."""
_PREFIX = re.compile(r"[A-Za-z0-9_-]{7,32}\Z", re.ASCII)

Row = dict[str, Any]
"""Columns of a key, without its tailnet."""


@dataclass(frozen=True, slots=True)
class KnownKeys:
    """Ids of the keys that a tailnet has, by prefix."""

    preauth: Mapping[str, int] = field(default_factory=dict)
    api: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class KeyPlan:
    """Keys to write."""

    preauth: list[Row] = field(default_factory=list, repr=False)
    api: list[Row] = field(default_factory=list, repr=False)
    preauth_ids: Mapping[int, int] = field(default_factory=dict)
    """Our id for each imported pre-auth key that exists after the import."""


def plan(found: Installation, user_ids: Mapping[int, UserId], known: KnownKeys, now: datetime) -> KeyPlan:
    """Plan all keys; count and note the result for each in `found`. `user_ids` are ours, by imported id."""
    preauth = _Planner("preauthkey", known.preauth, (key.id for key in found.preauth_keys), found)
    for key in sorted(found.preauth_keys, key=lambda key: key.id):
        preauth.take(key.id, _secret_of(key), partial(_preauth_row, key, user_ids, now))
    api = _Planner("apikey", known.api, (key.id for key in found.api_keys), found)
    for api_key in sorted(found.api_keys, key=lambda key: key.id):
        api.take(api_key.id, _hashed(api_key.prefix, api_key.hash), partial(_api_row, api_key, now))
    return KeyPlan(preauth.rows, api.rows, preauth.ids)


class _Unusable(Exception):  # noqa: N818  says why a key is left out
    """A key that cannot be imported."""


class _Planner:
    """Planner of the keys of one kind, in the order of their ids."""

    def __init__(self, kind: str, known: Mapping[str, int], ids: Iterable[int], found: Installation) -> None:
        self._kind = kind
        self._known = known
        self._counts: Counts = found.counts[f"{kind}s"]
        self._problems = found.problems
        self._taken_ids = set(known.values())
        self._given = Ids(kind, greatest((*self._taken_ids, *ids), None), found.problems)
        self._prefixes: set[str] = set()
        self.rows: list[Row] = []
        self.ids: dict[int, int] = {}

    def take(self, key_id: int, secret: tuple[str, str] | str, row: Callable[[], Row]) -> None:
        """Plan a key by prefix and digest; a text in their place is the reason why it has none."""
        try:
            if isinstance(secret, str):
                raise _Unusable(secret)
            prefix, digest = secret
            if prefix in self._known:
                self.ids[key_id] = self._known[prefix]
                self._counts.already_there += 1
                return
            if prefix in self._prefixes:
                raise _Unusable("another key has the same prefix")
            columns = row()
        except _Unusable as error:
            self._counts.left_out += 1
            self._problems.add(self._kind, key_id, str(error), "left out")
            return
        self._prefixes.add(prefix)
        self.ids[key_id] = self._given.keep(key_id, self._taken_ids)
        self.rows.append({"id": self.ids[key_id], "prefix": prefix, "digest": digest, **columns})
        self._counts.imported += 1


def _secret_of(key: ImportedPreAuthKey) -> tuple[str, str] | str:
    """Return prefix and digest, or the reason why there are none."""
    if key.hash:
        return _hashed(key.prefix, key.hash)
    text_ = read(KeyKind.PRE_AUTH, key.plain)
    if text_ is None:
        return "its text has a form that no release makes" if key.plain else "it has neither a text nor a hash"
    return text_.prefix, digest_of(text_.unverified_secret)


def _hashed(prefix: str, hashed: str) -> tuple[str, str] | str:
    digest = imported_digest(hashed)
    if digest is None:
        return "its hash has a form that no release makes"
    return (prefix, digest) if _PREFIX.match(prefix) else "its prefix has a form that no release makes"


def _preauth_row(key: ImportedPreAuthKey, user_ids: Mapping[int, UserId], now: datetime) -> Row:
    tags = _tags(key)
    owner = user_ids.get(key.user_id)
    if owner is None and not tags:
        raise _Unusable("its user does not exist" if key.user_id else "it has neither a user nor tags")
    return {
        "user_id": owner or 0,
        "reusable": key.reusable,
        "ephemeral": key.ephemeral,
        "tags": list(tags),
        "created_at": key.created_at or now,
        "expiration": key.expiration,
        "used": key.used,
    }


def _tags(key: ImportedPreAuthKey) -> tuple[str, ...]:
    """Return the key's tags; a damaged tag must not admit nodes with fewer tags than the key had.

    Raises:
        _Unusable: one is damaged.
    """
    try:
        return read_tags(key.tags)
    except InvalidInputError as error:
        raise _Unusable(f"a tag is damaged: {error}") from None


def _api_row(key: ImportedApiKey, now: datetime) -> Row:
    return {"created_at": key.created_at or now, "expiration": key.expiration, "last_seen": key.last_seen}


class AuthTarget:
    """The auth service's tables of one tailnet."""

    def __init__(self, tailnet: TailnetId) -> None:
        self._tailnet = tailnet

    async def prepare(self, engine: AsyncEngine) -> None:
        """Migrate the tables to the newest version."""
        await migrate(engine, MIGRATIONS, VERSION_TABLE)

    async def known(self, connection: AsyncConnection) -> KnownKeys:
        """Return the tailnet's keys."""
        return KnownKeys(await self._prefixes(connection, preauth_keys), await self._prefixes(connection, api_keys))

    async def write(self, connection: AsyncConnection, plan: KeyPlan) -> None:
        """Write all keys of a plan."""
        for table, rows in ((preauth_keys, plan.preauth), (api_keys, plan.api)):
            for part in parts(rows, MAX_ROWS):
                await connection.execute(insert(table), [{"tailnet_id": self._tailnet, **row} for row in part])
            if rows and connection.dialect.name == "postgresql":
                # SQLite continues after explicit ids; a sequence of PostgreSQL does not.
                sequence = func.pg_get_serial_sequence(table.name, "id")
                await connection.execute(select(func.setval(sequence, func.max(table.c.id))))

    async def _prefixes(self, connection: AsyncConnection, table: Table) -> dict[str, int]:
        rows = await connection.execute(select(table.c.prefix, table.c.id).where(table.c.tailnet_id == self._tailnet))
        return {str(row.prefix): int(row.id) for row in rows}
