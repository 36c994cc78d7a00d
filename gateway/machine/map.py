"""POST /machine/map: distinguishes the three kinds of map request. Owns the order of reports; stores nothing.

Stream true                    a map session: its description of the node may be stale and is ignored
Stream false, OmitPeers true   a report ("lite update"): the registry stores it, the answer is an empty 200
Stream false, OmitPeers false  one full map and the end
"""

from __future__ import annotations

from functools import partial

from opentelemetry import trace

from gateway.clients.failure import ServiceError
from gateway.clients.registry import RegistryClient
from gateway.exchange import Responder, TunnelRequest
from gateway.machine.in_flight import InFlight
from gateway.machine.map_sessions import MapSessions
from gateway.machine.metrics import MachineMetrics
from gateway.machine.pace import Pace
from gateway.machine.refusal import TOO_OLD, Refusal, refusal_of, refuse
from gateway.machine.register import MINIMUM_CAPABILITY_VERSION
from gateway.machine.report_queue import Outcome
from gateway.machine.reports import LastReports, Report, digest_of
from gateway.machine.session import MapSessionRequest
from services.shared.keys import MachineKey
from services.shared.tailcfg.errors import ClientRequestError
from services.shared.tailcfg.requests import MapRequest, decode_map

AWAKE_SYSTEMS = frozenset(("linux", "windows", "macOS", "freebsd", "openbsd", "netbsd", "illumos", "solaris"))
"""`Hostinfo.OS` of systems whose radio a packet does not wake; phones and television sets name others."""


class Map:
    """Answers map requests."""

    def __init__(
        self,
        registry: RegistryClient,
        sessions: MapSessions,
        reports: LastReports,
        work: InFlight,
        metrics: MachineMetrics,
        tracer: trace.Tracer,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace(0, 0, metrics)
        self._registry, self._sessions, self._reports, self._work = registry, sessions, reports, work
        self._metrics, self._tracer = metrics, tracer
        self._last_order = 0

    def handle(self, request: TunnelRequest, responder: Responder) -> None:
        """Start a request."""
        try:
            wanted = decode_map(request.body)
        except ClientRequestError as error:
            refuse(responder, Refusal(400, str(error)))
            return
        if wanted.version < MINIMUM_CAPABILITY_VERSION:
            refuse(responder, TOO_OLD)
        elif wanted.stream or not wanted.omit_peers:
            if (refusal := self._pace.refuses("map", request.machine_key)) is not None:
                refuse(responder, refusal)
                return
            ask = MapSessionRequest(
                machine_key=request.machine_key,
                node_key=wanted.node_key,
                cap_version=wanted.version,
                zstd=wanted.compress == "zstd",
                once=not wanted.stream,
                stays_awake=wanted.hostinfo.os in AWAKE_SYSTEMS,
            )
            self._sessions.open(ask, responder)
        else:
            self._take_report(request, responder, wanted)

    def _take_report(self, request: TunnelRequest, responder: Responder, wanted: MapRequest) -> None:
        digest = digest_of(request.body)
        if self._reports.is_repeat(request.machine_key, wanted.node_key, request.connection_id, digest):
            self._metrics.updates.labels("repeated").inc()
            responder.respond(200)
            return
        # Until this report is stored, the last accepted one no longer stands for the state of the registry.
        self._reports.forget(request.machine_key, wanted.node_key)
        report = Report(request.connection_id, digest, self._next_order())
        self._work.run(request.machine_key, responder, partial(self._store, request, responder, wanted, report))

    async def _store(self, request: TunnelRequest, responder: Responder, wanted: MapRequest, report: Report) -> None:
        machine, size = request.machine_key, len(request.body)
        store = partial(self._store_now, machine, responder, wanted, report)
        if await self._pace.reports.store(machine, wanted.node_key, size, store) is Outcome.REPLACED:
            self._metrics.updates.labels("overtaken").inc()
            self._metrics.limited.labels("report").inc()
            responder.respond(200)

    async def _store_now(self, machine: MachineKey, responder: Responder, wanted: MapRequest, report: Report) -> bool:
        """Store a report and answer it. Returns False if the registry did not store it."""
        with self._tracer.start_as_current_span("POST /machine/map", kind=trace.SpanKind.SERVER):
            try:
                changed = await self._registry.update_node(machine, wanted, report.order)
            except ServiceError as error:
                self._metrics.updates.labels("refused").inc()
                refuse(responder, refusal_of(error))
                return False
        self._reports.accepted(machine, wanted.node_key, report)
        self._metrics.updates.labels("changed" if changed else "unchanged").inc()
        responder.respond(200)
        return True

    def _next_order(self) -> int:
        """Return a number that rises with each report, in order of arrival."""
        self._last_order += 1
        return self._last_order
