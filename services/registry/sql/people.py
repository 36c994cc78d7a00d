"""Identities, standings and histories of people, inside the transaction that changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, delete, func, select

from services.registry.model.link import Link
from services.registry.model.standing import KEPT, HistoryEntry, Standing
from services.registry.sql import tables
from services.registry.sql.log import SqlLog
from services.registry.sql.rows import link_columns, link_of
from services.registry.sql.statements import upsert
from services.shared.ids import UserId


class SqlPeople(SqlLog):
    """Tables about people beside the records of users."""

    async def link(self, issuer: str, subject: str) -> Link | None:
        """Return the link of an identity."""
        links = tables.links
        rows = await self._connection.execute(
            select(links).where(
                links.c.tailnet_id == self._tailnet, links.c.issuer == issuer, links.c.subject == subject
            )
        )
        row = rows.mappings().one_or_none()
        return None if row is None else link_of(row)

    async def links(self, user_id: UserId | None = None) -> list[Link]:
        """Return the links of one user or of all, ordered by user, issuer and subject."""
        links = tables.links
        query = select(links).where(links.c.tailnet_id == self._tailnet)
        if user_id is not None:
            query = query.where(links.c.user_id == user_id)
        rows = await self._connection.execute(query.order_by(links.c.user_id, links.c.issuer, links.c.subject))
        return [link_of(row) for row in rows.mappings()]

    async def remove_link(self, issuer: str, subject: str) -> None:
        """Delete the link of an identity."""
        links = tables.links
        mine = (links.c.tailnet_id == self._tailnet) & (links.c.issuer == issuer) & (links.c.subject == subject)
        await self._connection.execute(delete(links).where(mine))

    async def history(self, user_id: UserId) -> list[HistoryEntry]:
        """Return a user's history, newest first."""
        table = tables.history
        rows = await self._connection.execute(
            select(table)
            .where(table.c.tailnet_id == self._tailnet, table.c.user_id == user_id)
            .order_by(table.c.number.desc())
        )
        return [
            HistoryEntry(
                user_id=UserId(row["user_id"]),
                at=row["at"],
                attribute=row["attribute"],
                before=row["before"],
                after=row["after"],
                source=row["source"],
            )
            for row in rows.mappings()
        ]

    async def put_link(self, link: Link) -> None:
        """Add or change the link of an identity."""
        await self._upsert(tables.links, ["tailnet_id", "issuer", "subject"], [link_columns(link)])

    async def forget_person(self, user_id: UserId) -> None:
        """Delete a user's links, standing and history."""
        for table in (tables.links, tables.standings, tables.history):
            await self._connection.execute(
                delete(table).where(table.c.tailnet_id == self._tailnet, table.c.user_id == user_id)
            )

    async def standing(self, user_id: UserId) -> Standing | None:
        """Return the last change of a user's standing."""
        table = tables.standings
        rows = await self._connection.execute(
            select(table).where(table.c.tailnet_id == self._tailnet, table.c.user_id == user_id)
        )
        row = rows.mappings().one_or_none()
        if row is None:
            return None
        return Standing(
            user_id=UserId(row["user_id"]),
            number=row["number"],
            since=row["since"],
            source=row["source"],
            actor=row["actor"],
            reason=row["reason"],
        )

    async def put_standing(self, standing: Standing) -> None:
        """Store the last change of a user's standing."""
        row = {
            "user_id": standing.user_id,
            "number": standing.number,
            "since": standing.since,
            "source": standing.source,
            "actor": standing.actor,
            "reason": standing.reason,
        }
        await self._upsert(tables.standings, ["tailnet_id", "user_id"], [row])

    async def add_history(self, entries: Sequence[HistoryEntry]) -> None:
        """Add history entries, and delete all but the last entries of each attribute of a person."""
        table = tables.history
        for entry in entries:
            mine = (table.c.tailnet_id == self._tailnet) & (table.c.user_id == entry.user_id)
            newest: int = (await self._connection.scalar(select(func.max(table.c.number)).where(mine))) or 0
            row = {
                "tailnet_id": self._tailnet,
                "user_id": entry.user_id,
                "number": newest + 1,
                "at": entry.at,
                "attribute": entry.attribute,
                "before": entry.before,
                "after": entry.after,
                "source": entry.source,
            }
            await self._connection.execute(table.insert(), [row])
            alike = mine & (table.c.attribute == entry.attribute)
            surplus = select(table.c.number).where(alike).order_by(table.c.number.desc()).offset(KEPT).limit(1)
            oldest: int | None = await self._connection.scalar(surplus)
            if oldest is not None:
                await self._connection.execute(delete(table).where(alike, table.c.number <= oldest))

    async def _upsert(
        self, table: Table, key: list[str], rows: Sequence[Mapping[str, Any]], *, keep: bool = False
    ) -> None:
        """Insert rows in this order; update existing ones, or with `keep` leave them unchanged."""
        if not rows:
            return
        rows = [{"tailnet_id": self._tailnet, **row} for row in rows]
        statement = upsert(table, tuple(key), tuple(rows[0]), self._connection.dialect.name, keep=keep)
        await statement.run(self._connection, rows)
