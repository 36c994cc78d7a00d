"""Looks up why a dismissed device has no node, and sends the reason on its open stream. Owns the texts; keeps nothing.

The map that logs a device out does not wait for this: without an answer the general reason in it stays.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from smartscale.registry.v1 import registry_pb2 as pb

from gateway.clients.failure import ServiceError
from gateway.machine.map_sessions import MapSessions
from gateway.machine.session import MapSession
from services.shared.background import Background
from services.shared.inventory import instant
from services.shared.keys import MachineKey
from services.shared.telemetry import get_logger

log = get_logger(__name__)

MAX_QUERIES = 64
"""Maximum number of queries at once; clients beyond keep the general reason."""

_SENTENCES: Mapping[pb.DepartureReason.ValueType, str] = {
    pb.DEPARTURE_REASON_DELETED: "An administrator deleted this device",
    pb.DEPARTURE_REASON_INACTIVE: "This device was ephemeral and was deleted because it was away for too long,",
    pb.DEPARTURE_REASON_LOGGED_OUT: "This device was ephemeral and was deleted because it logged out,",
}


class Departures:
    """Queries of the registry, one for each dismissed session. `background` runs nothing else."""

    def __init__(
        self,
        ask: Callable[[MachineKey], Awaitable[pb.GetDepartureResponse | None]],
        sessions: MapSessions,
        background: Background,
    ) -> None:
        self._ask = ask
        self._sessions = sessions
        self._background = background
        sessions.on_dismissed = self._begin

    def _begin(self, session: MapSession) -> None:
        if len(self._background) < MAX_QUERIES:
            self._background.run(self._explain(session), "gateway departures")

    async def _explain(self, session: MapSession) -> None:
        try:
            found = await self._ask(session.request.machine_key)
        except ServiceError as error:
            log.debug("reason of a departure not known", reason=str(error))
            return
        sentence = "" if found is None else _SENTENCES.get(found.reason, "")
        if found is not None and sentence:
            self._sessions.explain(session, f"{sentence} on {instant(found.at):%Y-%m-%d at %H:%M} UTC.")

    async def stop(self) -> None:
        """Cancel the queries."""
        await self._background.stop()
