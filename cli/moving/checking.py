"""The examinations of `headscale db check`: integrity, revisions, owners, gaps in logs. Reads only, server or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from sqlalchemy import Table, func, select, text

from cli.moving.schema import PARTS
from services.auth.importing import preauth_keys
from services.policy.sql import tables as policy
from services.registry.sql import tables as registry
from services.shared.config.model import Config
from services.shared.db.contents import recognise
from services.shared.db.database import create_engine, read
from services.shared.db.engine import AsyncConnection
from services.shared.db.recognition import Kind, known_revisions

_MOST = 20
"""Faults of one kind that are named."""


async def check(config: Config) -> list[str]:
    """Return what is wrong with a database of ours.

    Raises:
        UntouchedError: it cannot be read.
        DatabaseUnavailableError: it cannot be reached.
    """
    found = await recognise(config.database)
    if found.kind is not Kind.OURS:
        return [f"it has none of our tables: it is {found.kind.value}"]
    engine = create_engine(config.database)
    try:
        async with read(engine) as connection:
            return [fault async for fault in _faults(connection)]
    finally:
        await engine.dispose()


async def _faults(connection: AsyncConnection) -> AsyncIterator[str]:
    if connection.dialect.name == "sqlite":
        for (line,) in (await connection.execute(text(f"PRAGMA integrity_check({_MOST})"))).all():
            if line != "ok":
                yield f"SQLite: {line}"
    for part in PARTS:
        revision = await connection.scalar(text(f"SELECT version_num FROM {part.version_table}"))  # noqa: S608
        newest = max(known_revisions(part.service))
        if revision != newest:
            yield f"the tables of {part.service} are at {revision}, not {newest}: start the server once, then check"
            return
    users = select(registry.users.c.id)
    owned = (
        ("node", registry.nodes, registry.nodes.c.tags == "[]"),
        ("identity of user", registry.links, registry.links.c.user_id != 0),
        ("pre-auth key", preauth_keys, preauth_keys.c.user_id != 0),
    )
    for noun, table, condition in owned:
        key = table.c.id if "id" in table.c else table.c.user_id
        rows = await connection.scalars(select(key).where(condition, table.c.user_id.not_in(users)).limit(_MOST))
        for number in rows.all():
            yield f"{noun} {number} belongs to a user that does not exist"
    async for fault in _logs(connection, ((registry.tailnets, registry.changes), (policy.tailnets, policy.changes))):
        yield fault


async def _logs(connection: AsyncConnection, logs: Iterable[tuple[Table, Table]]) -> AsyncIterator[str]:
    """Look for changes that are missing between the oldest that is kept and the position of a tailnet."""
    for tailnets, changes in logs:
        for tailnet, position in (await connection.execute(select(tailnets.c.tailnet_id, tailnets.c.seq))).all():
            mine = changes.c.tailnet_id == tailnet
            counted = select(func.count(), func.min(changes.c.seq), func.max(changes.c.seq)).where(mine)
            number, first, last = (await connection.execute(counted)).one()
            if number and (last != position or last - first + 1 != number):
                yield f"{changes.name} has gaps: {number} changes from {first} to {last}, position {position}"
