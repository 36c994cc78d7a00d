"""Who is connected: sessions as gateways report them, and the grace before anyone is told of a break."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from services.registry.store import Gateway
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.shared.ids import NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """What a gateway says happened since its last report."""

    gateway_id: str
    opened: tuple[tuple[int, NodeId], ...] = ()
    closed: tuple[int, ...] = ()
    stopping: bool = False
    complete: bool = False


class Presence:
    """Keeps the sessions, and marks nodes online at once and offline after the grace."""

    def __init__(self, ledger: Ledger, something_due: Callable[[], None]) -> None:
        self._ledger = ledger
        self._something_due = something_due

    async def report(self, report: SessionReport) -> bool:
        """Take a report; returns whether the gateway must report everything."""

        async def work(draft: Draft) -> bool:
            return await _take(draft, report)

        resend = await self._ledger.commit(work)
        if report.closed or report.stopping or report.complete:
            self._something_due()
        return resend


async def _take(draft: Draft, report: SessionReport) -> bool:
    rows = draft.transaction
    if report.stopping:
        await leave(draft, await rows.remove_gateway(report.gateway_id))
        return False
    known = await rows.gateway(report.gateway_id)
    complete = report.complete or (known is not None and known.complete)
    await rows.put_gateway(Gateway(report.gateway_id, draft.now, complete))
    closed = set(report.closed)
    if report.complete:
        named = {session_id for session_id, _ in report.opened}
        closed |= (await rows.sessions_of(report.gateway_id)).keys() - named
    opened = [(session_id, node_id) for session_id, node_id in report.opened if node_id in draft.state.nodes]
    if opened:
        await rows.open_sessions(report.gateway_id, opened)
        await _arrive(draft, {node_id for _, node_id in opened})
    if closed:
        await leave(draft, await rows.close_sessions(report.gateway_id, closed))
    return not complete


async def _arrive(draft: Draft, nodes: Collection[NodeId]) -> None:
    await draft.transaction.remove_absences(nodes)
    for node_id in nodes:
        draft.put_node(replace(draft.node(node_id), online=True, last_seen=None))


async def leave(draft: Draft, nodes: set[NodeId]) -> None:
    """Begin the grace of those nodes that have no other session."""
    gone = {node_id for node_id in nodes if node_id in draft.state.nodes}
    if gone:
        gone -= await draft.transaction.with_sessions(gone)
    if gone:
        await draft.transaction.put_absences(gone, draft.now)
