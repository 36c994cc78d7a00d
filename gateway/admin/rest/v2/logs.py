"""The operation of /api/v2 about the audit log, in the hosted service's shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from smartscale.admin.v1 import audit_pb2 as pb
from smartscale.types.v1 import audit_pb2 as types
from starlette.responses import Response

from gateway.admin.refusal import invalid
from gateway.admin.rest.v2.device import NEVER, time_text
from gateway.admin.rest.v2.operation import Operation, Question, answered

_LIST = "smartscale.admin.v1.AuditAdminService.ListEntries"
_PAGE = 1000
MAX_ENTRIES = 10_000
"""Entries of one answer, which is made in memory."""
_VERSION = "1.1"


async def _configuration(question: Question) -> Response:
    """List entries of a span of time, the oldest first."""
    query = question.request.query_params
    start, end = _instant(query.get("start"), "start"), _instant(query.get("end"), "end")
    if end < start:
        raise invalid("end", "before start")
    kept = await _between(question, start, end)
    for name, text_of in (("actor", _actor_text), ("target", _target_text), ("event", _event)):
        wanted = query.getlist(name)
        if wanted:
            kept = [entry for entry in kept if any(one.removeprefix("~") in text_of(entry) for one in wanted)]
    body = {"version": _VERSION, "tailnet": question.tailnet.name, "logs": [_shown(entry) for entry in kept]}
    return answered(body)


async def _between(question: Question, start: datetime, end: datetime) -> list[types.AuditEntry]:
    """Return the entries of a span of time.

    Raises:
        Refused: there are more than `MAX_ENTRIES`.
    """
    found: list[types.AuditEntry] = []
    wanted = pb.ListEntriesRequest(limit=_PAGE)
    wanted.start.FromDatetime(start)
    wanted.end.FromDatetime(end)
    while len(found) <= MAX_ENTRIES:
        page = (await question.ask(_LIST, wanted)).entries
        found += page
        if len(page) < _PAGE:
            return found
        wanted.after = page[-1].seq
    raise invalid("end", f"the span has more than {MAX_ENTRIES} entries; ask for a shorter one")


def _instant(text: str | None, name: str) -> datetime:
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        raise invalid(name, "missing, or not a time as in 2026-01-02T03:04:05Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _actor_text(entry: types.AuditEntry) -> str:
    return entry.actor


def _target_text(entry: types.AuditEntry) -> str:
    return entry.target


def _event(entry: types.AuditEntry) -> str:
    return ".".join(filter(None, (entry.target_type, entry.action, entry.property)))


def _shown(entry: types.AuditEntry) -> dict[str, Any]:
    kind = "OAUTH_CLIENT" if entry.actor.startswith("oauth client ") else "USER"
    target = {"id": entry.target, "name": entry.target, "type": entry.target_type}
    if entry.property:
        target["property"] = entry.property
    found: dict[str, Any] = {
        "eventTime": time_text(entry.time),
        "type": "CONFIG",
        "deferredAt": NEVER,
        "eventGroupID": entry.event_id,
        "origin": "CONFIG_API",
        "actor": {"id": entry.actor, "type": kind, "loginName": entry.actor, "displayName": entry.actor},
        "target": target,
        "action": entry.action,
        "actionDetails": f"{entry.call} over {entry.wire}{f' from {entry.address}' if entry.address else ''}",
    }
    for name, text in (("old", entry.old_value), ("new", entry.new_value)):
        if text:
            found[name] = orjson.loads(text)
    if entry.result != "OK":
        found["error"] = f"{entry.result}: {entry.reason}" if entry.reason else entry.result
    return found


OPERATIONS = (
    Operation(
        "GET",
        "/tailnet/{tailnet}/logging/configuration",
        "List changes of a span of time",
        "logging",
        _configuration,
        "logs:configuration:read",
        ("start", "end", "actor", "target", "event"),
        answer="AuditLog",
    ),
)
