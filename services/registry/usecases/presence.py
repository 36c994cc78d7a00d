"""Presence: the map sessions that gateways report, and the grace before a node without one is shown offline.

Knows gateways only by their reports. A session whose client stopped answering ends without a grace.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial

from services.registry.model.route import nodes_with_alternative
from services.registry.store import GatewayRecord
from services.registry.usecases.draft import MAX_FACTS, Draft
from services.registry.usecases.ledger import Ledger
from services.shared.ids import NodeId
from services.shared.rpc.presence import SessionsDigest
from services.shared.telemetry import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """Changes of the sessions of a gateway since its last report."""

    gateway_id: str
    opened: tuple[tuple[int, NodeId], ...] = ()
    closed: tuple[int, ...] = ()
    lost: frozenset[int] = frozenset()
    """Ended sessions with a client that stopped answering."""
    stopping: bool = False
    complete: bool = False
    digest: SessionsDigest | None = None
    """Number and checksum of all sessions of the gateway after this report; None: not compared."""


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """The answer to a report."""

    resend: bool
    """True if the next report must be complete."""
    probe: frozenset[NodeId] | None = None
    """Nodes for the gateway to probe, because another node could take over one of their routes; None: as before."""


class PresenceTracker:
    """Use case of session reports: nodes go online at once, offline after the grace or at once if they were lost."""

    def __init__(self, ledger: Ledger, wake_timer: Callable[[], None]) -> None:
        self._ledger = ledger
        self._wake_timer = wake_timer

    async def report(self, report: SessionReport) -> ReportAnswer:
        """Store a report, in several transactions if it may cause more than `MAX_FACTS` changes."""
        for part in _first_parts(report):
            await self._ledger.commit(partial(_store, report=part))
        answer = await self._ledger.commit(partial(_store, report=report))
        if report.closed or report.stopping or report.complete:
            self._wake_timer()
        return answer


def _first_parts(report: SessionReport) -> Iterator[SessionReport]:
    """Split off what the whole report need not change any more: parts of its opened, then of its lost sessions.

    The whole follows, since only it says which sessions a complete report does not name.
    """
    if report.stopping:
        return
    for start in range(0, len(report.opened) - MAX_FACTS, MAX_FACTS):
        yield SessionReport(gateway_id=report.gateway_id, opened=report.opened[start : start + MAX_FACTS])
    lost = [session_id for session_id in report.closed if session_id in report.lost]
    for start in range(0, len(lost) - MAX_FACTS, MAX_FACTS):
        part = tuple(lost[start : start + MAX_FACTS])
        yield SessionReport(gateway_id=report.gateway_id, closed=part, lost=frozenset(part))


async def _store(draft: Draft, report: SessionReport) -> ReportAnswer:
    rows = draft.transaction
    if report.stopping:
        await leave(draft, await rows.remove_gateway(report.gateway_id))
        return ReportAnswer(resend=False)
    known = await rows.gateway(report.gateway_id)
    complete = report.complete or (known is not None and known.complete)
    await rows.put_gateway(GatewayRecord(report.gateway_id, draft.now, complete))
    closed = set(report.closed)
    if report.complete:
        named = {session_id for session_id, _ in report.opened}
        closed |= (await rows.sessions_of(report.gateway_id)).keys() - named
    opened = [(session_id, node_id) for session_id, node_id in report.opened if node_id in draft.state.nodes]
    if opened:
        await rows.open_sessions(report.gateway_id, opened)
        await _arrive(draft, {node_id for _, node_id in opened})
    if lost := closed & report.lost:
        await _lose(draft, await rows.close_sessions(report.gateway_id, lost))
    if ended := closed - report.lost:
        await leave(draft, await rows.close_sessions(report.gateway_id, ended))
    return await _answer(draft, report, complete)


async def _answer(draft: Draft, report: SessionReport, complete: bool) -> ReportAnswer:
    if report.digest is None:
        return ReportAnswer(not complete, _probed(draft) if _brings_router(draft, report) else None)
    held = await draft.transaction.sessions_digest(report.gateway_id)
    if differs := complete and not report.complete and held != report.digest:
        log.warning(
            "sessions differ from those of a gateway",
            gateway_id=report.gateway_id,
            registry_sessions=held.count,
            gateway_sessions=report.digest.count,
        )
    return ReportAnswer(not complete or differs, _probed(draft))


def _brings_router(draft: Draft, report: SessionReport) -> bool:
    """Return whether a session of a node with approved routes was opened, which may be an alternative from now on."""
    opened = (draft.state.nodes.get(node_id) for _, node_id in report.opened)
    return any(node is not None and node.approved_routes for node in opened)


def _probed(draft: Draft) -> frozenset[NodeId]:
    return nodes_with_alternative(draft.state.nodes.values())


async def _arrive(draft: Draft, nodes: Collection[NodeId]) -> None:
    await draft.transaction.remove_absences(nodes)
    for node_id in nodes:
        draft.put_node(replace(draft.node(node_id), online=True, last_seen=None))


async def leave(draft: Draft, nodes: set[NodeId]) -> None:
    """Begin the grace of the nodes without another session."""
    if gone := await _without_session(draft, nodes):
        await draft.transaction.put_absences(gone, draft.now)


async def _lose(draft: Draft, nodes: set[NodeId]) -> None:
    """Mark the nodes without another session offline: their client did not answer and will not reconnect soon."""
    gone = await _without_session(draft, nodes)
    for node_id in gone:
        log.info("node lost", node_id=node_id)
        draft.put_node(replace(draft.node(node_id), online=False, last_seen=draft.now))
    if gone:
        await draft.transaction.remove_absences(gone)


async def _without_session(draft: Draft, nodes: set[NodeId]) -> set[NodeId]:
    present = {node_id for node_id in nodes if node_id in draft.state.nodes}
    return present - await draft.transaction.with_sessions(present) if present else present
