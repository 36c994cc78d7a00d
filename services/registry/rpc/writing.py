"""Writes identities, standings and histories of users into messages; `wire` has the records of the log."""

from __future__ import annotations

from smartscale.types.v1 import user_pb2 as user_types

from services.registry.model.link import NEVER, Link
from services.registry.model.standing import HistoryEntry, Standing
from services.registry.wire import to_timestamp


def link(found: Link) -> user_types.Link:
    """Return an identity."""
    return user_types.Link(
        issuer=found.issuer,
        subject=found.subject,
        user_id=found.user_id,
        created_at=to_timestamp(found.created_at),
        last_login=to_timestamp(found.last_login) if found.last_login > NEVER else None,
        display_name=found.display_name,
        email=found.email,
        namespace=found.namespace,
        groups_known=found.groups is not None,
        groups=[user_types.Membership(name=name, since=to_timestamp(since)) for name, since in found.memberships()],
    )


def standing(found: Standing | None) -> user_types.StandingRecord | None:
    """Return the last change of a standing."""
    if found is None or not found.source:
        return None
    return user_types.StandingRecord(
        since=to_timestamp(found.since), source=found.source, actor=found.actor, reason=found.reason
    )


def entry(found: HistoryEntry) -> user_types.HistoryEntry:
    """Return an entry of a history."""
    return user_types.HistoryEntry(
        at=to_timestamp(found.at),
        attribute=found.attribute,
        before=found.before,
        after=found.after,
        source=found.source,
    )
