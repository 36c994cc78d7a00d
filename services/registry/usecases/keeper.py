"""Changes due by time, when `timer` runs it: end of graces, lapsed gateways, expired keys, idle ephemeral nodes.

Every condition is checked again under the tailnet's lock, so each replica may have a keeper. Time in which the registry
itself was down does not count: waits begin at the start of this process at the earliest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from services.registry.model.departure import DepartureReason
from services.registry.model.fact import RelayRemoved
from services.registry.model.node import Node
from services.registry.model.route import nodes_with_alternative
from services.registry.model.state import State
from services.registry.store import Absence, Store
from services.registry.usecases.attributes import without_expired
from services.registry.usecases.draft import MAX_FACTS, Draft
from services.registry.usecases.elections import Elections
from services.registry.usecases.ledger import Ledger
from services.registry.usecases.presence import leave
from services.registry.usecases.settings import RegistrySettings
from services.shared.ids import NodeId
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

LONGEST_WAIT = timedelta(seconds=5)
"""Between two checks, because another replica may have written what this one must act on."""
_HOUSEKEEPING = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Due:
    """The changes due now, and the time of the next."""

    anything: bool
    next: datetime | None


class Keeper:
    """Acts on time; `act` is called by one timer, or by a test that moved the clock."""

    def __init__(
        self, ledger: Ledger, store: Store, settings: RegistrySettings, clock: Clock, elections: Elections
    ) -> None:
        self._ledger = ledger
        self._elections = elections
        self._store = store
        self._settings = settings
        self._clock = clock
        self._started = clock.now()
        self._trimmed = self._started

    async def act(self) -> timedelta:
        """Do everything that is due; return the time until something is due again.

        Raises:
            UnavailableError: the database cannot be used now.
        """
        now = self._clock.now()
        if (await self._due(now)).anything:
            while await self._ledger.commit(self._act):
                log.info("due changes exceed one transaction, continuing in the next")
        if now - self._trimmed >= _HOUSEKEEPING:
            self._trimmed = now
            await self._ledger.commit(self._trim)
        upcoming = (await self._due(now)).next
        return LONGEST_WAIT if upcoming is None else min(LONGEST_WAIT, max(timedelta(0), upcoming - now))

    async def _due(self, now: datetime) -> _Due:
        absences = await self._store.absences()
        routers = await self._ledger.read(partial(_replaceable, absences)) if absences else frozenset()
        times = [self._grace_ends(absence, routers) for absence in absences]
        times += [self._lapses(gateway.heard_at) for gateway in await self._store.gateways()]
        times += [self._fades(heard) for heard in (await self._store.relays_heard()).values()]
        times += await self._ledger.read(self._node_times)
        election = await self._ledger.read(self._elections.due)
        times += [] if election is None else [election]
        return _Due(any(time <= now for time in times), min((time for time in times if time > now), default=None))

    def _node_times(self, state: State) -> list[datetime]:
        times = [node.expiry for node in state.nodes.values() if node.expiry is not None and not node.expired]
        times += [
            one.expiry
            for node in state.nodes.values()
            if node.custom_attributes
            for one in node.custom_attributes
            if one.expiry is not None
        ]
        times += [self._idles(node) for node in state.nodes.values() if node.ephemeral and not node.online]
        return times

    def _grace_ends(self, absence: Absence, routers: Collection[NodeId]) -> datetime:
        settings = self._settings
        grace = settings.router_grace if absence.node_id in routers else settings.grace
        return max(absence.since, self._started) + grace

    def _lapses(self, heard_at: datetime) -> datetime:
        return max(heard_at, self._started) + self._settings.gateway_lapse

    def _fades(self, heard_at: datetime) -> datetime:
        return max(heard_at, self._started) + self._settings.relay_lapse

    def _idles(self, node: Node) -> datetime:
        """Return when an offline ephemeral node is deleted; if it never connected, its time runs from its admission."""
        return max(node.last_seen or node.created_at, self._started) + self._settings.ephemeral_timeout

    async def _act(self, draft: Draft) -> bool:
        """Do what is due, up to `MAX_FACTS`; return whether more is due."""
        await self._remove_gateways(draft)
        more = await self._end_graces(draft)
        await self._remove_relays(draft)
        more = self._elections.act(draft) or more
        return self._end_nodes(draft) or more

    async def _remove_gateways(self, draft: Draft) -> None:
        for gateway in await draft.transaction.gateways():
            if self._lapses(gateway.heard_at) <= draft.now:
                log.warning("gateway lapsed", gateway_id=gateway.gateway_id)
                await leave(draft, await draft.transaction.remove_gateway(gateway.gateway_id))

    async def _end_graces(self, draft: Draft) -> bool:
        """Mark nodes offline after their grace. Returns whether some are left."""
        absences = await draft.transaction.absences()
        routers = _replaceable(absences, draft.state)
        over = [absence for absence in absences if self._grace_ends(absence, routers) <= draft.now]
        now, later = over[:MAX_FACTS], over[MAX_FACTS:]
        for absence in now:
            node = draft.state.nodes.get(absence.node_id)
            if node is not None:
                draft.put_node(replace(node, online=False, last_seen=absence.since))
        if now:
            await draft.transaction.remove_absences([absence.node_id for absence in now])
        return bool(later)

    async def _remove_relays(self, draft: Draft) -> None:
        for name, heard_at in (await draft.transaction.relays_heard()).items():
            if self._fades(heard_at) <= draft.now:
                log.warning("relay lapsed", relay=name)
                draft.record(RelayRemoved(name))

    def _end_nodes(self, draft: Draft) -> bool:
        """Delete idle ephemeral nodes, mark expired keys, remove expired attributes; return whether some are left."""
        for node in list(draft.state.nodes.values()):
            attributes = bool(node.custom_attributes) and without_expired(node, draft.now) is not node
            idle = node.ephemeral and not node.online and self._idles(node) <= draft.now
            expired = node.expiry is not None and not node.expired and node.expiry <= draft.now
            if (idle or expired or attributes) and len(draft.facts) >= MAX_FACTS:
                return True
            if idle:
                log.info("idle ephemeral node deleted", node_id=node.id)
                draft.remove_node(node.id, DepartureReason.INACTIVE)
            elif expired or attributes:
                if expired:
                    log.info("node key expired", node_id=node.id)
                draft.put_node(replace(without_expired(node, draft.now), expired=node.expired or expired))
        return False

    async def _trim(self, draft: Draft) -> None:
        settings = self._settings
        before = draft.now - max(settings.departure_age, settings.address_quarantine)
        draft.state.departures.trim(before, settings.departures_at_most)
        await draft.transaction.trim_departures(before, settings.departures_at_most)
        gone = await draft.transaction.trim(settings.log_keep, draft.now - settings.log_age, settings.log_at_most)
        if gone:
            log.debug("change log trimmed", records=gone)


def _replaceable(absences: Sequence[Absence], state: State) -> frozenset[NodeId]:
    """Return the nodes with routes that another node with a session can take over."""
    if not absences:
        return frozenset()
    return nodes_with_alternative(state.nodes.values(), {absence.node_id for absence in absences})
