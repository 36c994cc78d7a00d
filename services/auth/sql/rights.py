"""Recorded changes of user rights in the database, kept for 30 days after they were applied."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select, update

from services.auth.model.login import AuthId, LoginState
from services.auth.model.oidc.flow import FlowState
from services.auth.model.oidc.refusal import RefusalReason
from services.auth.model.rights import IdentityGroups, RecordedRightsChange, RightsKind, RightsSource
from services.auth.model.ssh_check import CheckState
from services.auth.sql.tables import flows, logins, rights, ssh_approvals, ssh_checks
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncEngine
from services.shared.db.parts import parts
from services.shared.ids import TailnetId, UserId

AT_ONCE = 100
"""Maximum number of changes that one query returns."""
KEPT = timedelta(days=30)


class SqlRights:
    """The changes of one tailnet."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId) -> None:
        self._engine = engine
        self._tailnet = tailnet

    async def append(self, change: RecordedRightsChange) -> RecordedRightsChange:
        """Insert a change and return it with its number; delete old applied changes."""
        row = {
            "tailnet_id": self._tailnet,
            "user_id": change.user_id,
            "kind": change.kind.value,
            "source": change.source.value,
            "actor": change.actor,
            "reason": change.reason,
            "created_at": change.created_at,
            "login": None if change.login is None else asdict(change.login),
        }
        old = self._ours(rights.c.done_at < change.created_at - KEPT)
        async with write(self._engine) as connection:
            await connection.execute(delete(rights).where(old))
            stored = await connection.execute(insert(rights).values(row).returning(rights))
            return _change(stored.mappings().one())

    async def unfinished(self) -> tuple[RecordedRightsChange, ...]:
        """List changes that were not applied yet, the oldest first."""
        query = select(rights).where(self._ours(rights.c.done_at.is_(None))).order_by(rights.c.number).limit(AT_ONCE)
        async with read(self._engine) as connection:
            return tuple(_change(row) for row in (await connection.execute(query)).mappings())

    async def mark_done(self, change: RecordedRightsChange, now: datetime) -> None:
        """Record that a change was applied."""
        this = self._ours(rights.c.number == change.number, rights.c.done_at.is_(None))
        async with write(self._engine) as connection:
            await connection.execute(update(rights).where(this).values(done_at=now))

    async def refuse_logins(self, user_id: UserId, reason: RefusalReason, text: str) -> tuple[AuthId, ...]:
        """Reject logins and checks that a user approved or is about to confirm, and delete their SSH approvals.

        Returns the ids of logins and SSH checks with waiting requests to notify.
        """
        approved = and_(
            logins.c.tailnet_id == self._tailnet,
            logins.c.user_id == user_id,
            logins.c.state == LoginState.APPROVED.value,
        )
        confirming = and_(
            flows.c.tailnet_id == self._tailnet, flows.c.user_id == user_id, flows.c.state == FlowState.CONFIRMING.value
        )
        rejected = {"state": LoginState.REJECTED.value, "reason": text}
        refused = {"state": FlowState.REFUSED.value, "reason": reason.value, "text": text, "final": True}
        async with write(self._engine) as connection:
            gone = await connection.execute(update(flows).where(confirming).values(refused).returning(flows.c.auth_id))
            named = sorted(set(gone.scalars()))
            pending = and_(logins.c.tailnet_id == self._tailnet, logins.c.state == LoginState.PENDING.value)
            rejected_ids: set[str] = set()
            for these in (approved, *(and_(pending, logins.c.auth_id.in_(part)) for part in parts(named))):
                done = await connection.execute(
                    update(logins).where(these).values(rejected).returning(logins.c.auth_id)
                )
                rejected_ids.update(done.scalars())
            words = and_(ssh_approvals.c.tailnet_id == self._tailnet, ssh_approvals.c.user_id == user_id)
            await connection.execute(delete(ssh_approvals).where(words))
            checks = and_(
                ssh_checks.c.tailnet_id == self._tailnet,
                ssh_checks.c.user_id == user_id,
                ssh_checks.c.state != CheckState.REJECTED.value,
            )
            no = {"state": CheckState.REJECTED.value, "reason": text}
            done = await connection.execute(update(ssh_checks).where(checks).values(no).returning(ssh_checks.c.auth_id))
            rejected_ids.update(done.scalars())
        return tuple(AuthId(auth_id) for auth_id in sorted(rejected_ids))

    def _ours(self, *where: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(rights.c.tailnet_id == self._tailnet, *where)


def _login(document: dict[str, Any] | None) -> IdentityGroups | None:
    if document is None:
        return None
    return IdentityGroups(document["issuer"], document["subject"], tuple(document["names"]))


def _change(row: RowMapping) -> RecordedRightsChange:
    return RecordedRightsChange(
        user_id=UserId(row["user_id"]),
        kind=RightsKind(row["kind"]),
        source=RightsSource(row["source"]),
        created_at=row["created_at"],
        actor=row["actor"],
        reason=row["reason"],
        login=_login(row["login"]),
        number=row["number"],
    )
