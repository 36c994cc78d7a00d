"""Finds out why a device that was logged out has no node, and has its person told. Owns texts; keeps nothing.

The map that logs a device out does not wait for this: the reason follows on the same stream, or it does not, and then
the general one stays.
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

MAX_ASKED = 64
"""Maximum number of questions at once; clients beyond keep the general reason."""

_SENTENCES: Mapping[pb.DepartureReason.ValueType, str] = {
    pb.DEPARTURE_REASON_DELETED: "An administrator deleted this device",
    pb.DEPARTURE_REASON_INACTIVE: "This device was ephemeral and was deleted because it was away for too long,",
    pb.DEPARTURE_REASON_LOGGED_OUT: "This device was ephemeral and was deleted because it logged out,",
}


class Departures:
    """Asks the registry for each dismissed session."""

    def __init__(
        self,
        ask: Callable[[MachineKey], Awaitable[pb.GetDepartureResponse | None]],
        sessions: MapSessions,
        background: Background,
    ) -> None:
        self._ask = ask
        self._sessions = sessions
        self._background = background
        self._asked = 0
        sessions.on_dismissed = self._begin

    def _begin(self, session: MapSession) -> None:
        if self._asked >= MAX_ASKED:
            return
        self._asked += 1
        self._background.run(self._explain(session), "gateway departures").add_done_callback(self._ended)

    def _ended(self, _task: object) -> None:
        self._asked -= 1

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
        """Stop asking."""
        await self._background.stop()
