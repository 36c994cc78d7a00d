"""Reports of clients about their node: endpoints, disco key, hostinfo. Stores only differences. The busiest path."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from services.registry.model.errors import ForbiddenError, NotFoundError
from services.registry.model.hostinfo import read_hostinfo
from services.registry.model.node import Node
from services.registry.model.state import State
from services.registry.usecases.allocation import Allocator
from services.registry.usecases.approval import CurrentPolicy
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.shared.ids import NodeId
from services.shared.keys import DiscoKey, MachineKey, NodeKey
from services.shared.tailcfg.hostinfo import keep_net_info

_REMEMBERED = 65536


@dataclass(frozen=True, slots=True)
class Order:
    """The gateway that numbered a report, and the number; numbers of different gateways are not compared."""

    gateway_id: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """One lite map request, read and checked but for its hostinfo."""

    machine_key: MachineKey
    node_key: NodeKey
    disco_key: DiscoKey
    endpoints: tuple[str, ...] = ()
    endpoint_types: tuple[int, ...] = ()
    hostinfo: bytes | None = None
    """As sent; parsed only if it differs from the stored one. None: unchanged."""
    cap_version: int = 0
    order: Order | None = None
    """None: not compared."""


class Updates:
    """Use case of reports."""

    def __init__(self, ledger: Ledger, allocator: Allocator, policies: CurrentPolicy) -> None:
        self._ledger = ledger
        self._allocator = allocator
        self._policies = policies
        self._orders: OrderedDict[NodeId, Order] = OrderedDict()

    async def report(self, report: NodeReport) -> bool:
        """Store a report. Returns whether a change was recorded.

        Raises:
            NotFoundError: no node has this key.
            ForbiddenError: the node is another machine's.
            InvalidInputError: its hostinfo cannot be accepted.
        """
        if self._same(self._ledger.cached_state, report) and await self._ledger.read(
            lambda state: self._same(state, report)
        ):
            return False

        async def write(draft: Draft) -> bool:
            node = _own(draft.state, report)
            if self._is_stale(node, report.order):
                return False
            merged = self._merge(draft.state, node, report)
            if merged == node:
                return False
            if report.order is not None:
                merged = replace(merged, reported_by=report.order.gateway_id, report_order=report.order.number)
            return draft.put_node(merged)

        changed = await self._ledger.commit(write)
        self._remember(self._ledger.cached_state.by_node_key(report.node_key), report.order)
        return changed

    def _same(self, state: State, report: NodeReport) -> bool:
        """Return whether the report changes nothing; if so, note its number in memory, as no record is written."""
        node = state.by_node_key(report.node_key)
        if node is None or node.machine_key != report.machine_key:
            return False
        if self._merge(state, node, report) != node:
            return False
        self._remember(node, report.order)
        return True

    def _merge(self, state: State, node: Node, report: NodeReport) -> Node:
        merged = replace(
            node,
            disco_key=report.disco_key,
            endpoints=report.endpoints,
            endpoint_types=report.endpoint_types,
            cap_version=report.cap_version or node.cap_version,
        )
        if report.hostinfo is None or report.hostinfo == node.hostinfo:
            return merged
        hostinfo = keep_net_info(read_hostinfo(report.hostinfo), node.hostinfo)
        if hostinfo.json == node.hostinfo:
            return merged
        merged = replace(
            merged,
            given_name=self._allocator.rename(state, node, hostinfo.hostname),
            hostname=hostinfo.hostname,
            hostinfo=hostinfo.json,
            home_derp=hostinfo.home_derp,
            advertised_routes=hostinfo.routable_ips,
            requested_tags=hostinfo.request_tags,
        )
        if merged.advertised_routes == node.advertised_routes:
            return merged
        return replace(merged, approved_routes=self._policies.approve(state, merged))

    def _is_stale(self, node: Node, order: Order | None) -> bool:
        if order is None:
            return False
        known = (Order(node.reported_by, node.report_order), self._orders.get(node.id))
        return any(
            last is not None and last.gateway_id == order.gateway_id and order.number < last.number for last in known
        )

    def _remember(self, node: Node | None, order: Order | None) -> None:
        if node is None or order is None:
            return
        last = self._orders.pop(node.id, None)
        newer = last is None or last.gateway_id != order.gateway_id or order.number > last.number
        self._orders[node.id] = order if newer or last is None else last
        if len(self._orders) > _REMEMBERED:
            self._orders.popitem(last=False)


def _own(state: State, report: NodeReport) -> Node:
    node = state.by_node_key(report.node_key)
    if node is None:
        raise NotFoundError("node not found")
    if node.machine_key != report.machine_key:
        raise ForbiddenError("the node key belongs to another machine")
    return node
