"""Debug pages about map sessions, queues, full maps and the DERP map, and a ping of a client."""

from __future__ import annotations

import time
from typing import Protocol

from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from gateway.debug.asking import DEADLINE, ServiceQueries, answering, more, parsed
from services.shared.telemetry.pages import Document, PageError, Pages, Parameters


class GatewayState(Protocol):
    """The state of this gateway for debug pages."""

    def overview(self) -> Document:
        """In numbers."""
        ...

    def sessions(self) -> list[Document]:
        """Describe each map session."""
        ...

    async def ping(self, node_id: int, address: str, types: str) -> bytes:
        """Ping a node, or have it ping an address by some types. Returns its answer as JSON.

        Raises:
            ValueError: a type of ping that does not exist.
            LookupError: it has no session here, or reads too slowly.
            TimeoutError: it did not answer in time.
        """
        ...


def add_pages(pages: Pages, services: ServiceQueries, holding: GatewayState) -> None:
    """Register the pages."""

    async def sessions(_: Parameters) -> Document:
        return {**holding.overview(), "sessions": holding.sessions()}

    async def batcher(_: Parameters) -> Document:
        with answering("map_streamer"):
            answer = await services.map_streamer.ShowSessions(pb.ShowSessionsRequest(), timeout=DEADLINE)
        return {"gateway": holding.overview(), "map_streamer": _queues(answer)}

    async def maps(parameters: Parameters) -> Document:
        answer = await services.shown(parameters, with_map=True)
        shown = {f"{node.id} {node.given_name}": parsed(node.map_response) for node in answer.nodes}
        return {**more(answer.more, answer.nodes), "map_responses": shown}

    async def derp(_: Parameters) -> Document:
        with answering("map_streamer"):
            answer = await services.map_streamer.ShowDerpMap(pb.ShowDerpMapRequest(), timeout=DEADLINE)
        return {"derp_map": parsed(answer.derp_map)}

    async def ask(parameters: Parameters) -> Document:
        node_id = await services.node_id(parameters)
        if node_id is None:
            raise PageError(
                400, "node: missing; name a node, as in ?node=7; with &address= and &types= it pings another"
            )
        return await _ping(holding, node_id, parameters)

    pages.add("sessions", "Map sessions of this gateway.", sessions)
    pages.add("batcher", "The window, and what is queued for each gateway.", batcher)
    pages.add("mapresponses", "The whole map that a node would be sent now; ?node=ID or NAME for one.", maps)
    pages.add("derp", "The DERP map that is sent to clients.", derp)
    pages.add(
        "ping",
        "POST: whether a node of this gateway answers; ?node=ID or NAME, &address=IP &types=disco,TSMP.",
        ask,
        acts=True,
    )


async def _ping(holding: GatewayState, node_id: int, parameters: Parameters) -> Document:
    began = time.monotonic()
    try:
        answer = await holding.ping(node_id, parameters.get("address", ""), parameters.get("types", ""))
    except ValueError as error:
        raise PageError(400, f"types: {error}") from None
    except LookupError as error:
        raise PageError(404, f"node: {error}") from None
    except TimeoutError:
        raise PageError(504, "the node did not answer in time") from None
    took = round(1000 * (time.monotonic() - began), 1)
    return {"node": node_id, "answered": True, "milliseconds": took, "answer": parsed(answer)}


def _queues(answer: pb.ShowSessionsResponse) -> Document:
    return {
        "registry_position": answer.cursor.registry,
        "policy_position": answer.cursor.policy,
        "registry_told": answer.sent.registry,
        "policy_told": answer.sent.policy,
        "window_seconds": answer.window_seconds,
        "gateways": [
            {
                "id": gateway.id,
                "live": gateway.live,
                "behind": gateway.behind,
                "waiting": gateway.waiting,
                "opening": gateway.opening,
                "paused": gateway.paused,
                "queued_messages": gateway.queued_messages,
                "queued_bytes": gateway.queued_bytes,
                "congested": gateway.congested,
            }
            for gateway in answer.gateways
        ],
    }
