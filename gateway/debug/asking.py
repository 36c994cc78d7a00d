"""Calls to the services for debug pages. Every call has a deadline; every failure becomes a `PageError`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio
import orjson
from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.auth.v1 import auth_pb2_grpc
from smartscale.map_streamer.v1 import map_streamer_pb2, map_streamer_pb2_grpc
from smartscale.policy.v1 import policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types

from services.shared.telemetry.pages import PageError, Parameters

DEADLINE = 10.0
LIST_DEADLINE = 60.0
"""Seconds for a stream of the whole tailnet."""
MAX_ID = (1 << 63) - 1
_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class ServiceQueries:
    """Stubs of the four services, and the queries that several pages share."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self.registry = registry_pb2_grpc.RegistryServiceStub(channels["registry"])
        self.auth = auth_pb2_grpc.AuthServiceStub(channels["auth"])
        self.policy = policy_pb2_grpc.PolicyServiceStub(channels["policy"])
        self.map_streamer = map_streamer_pb2_grpc.MapStreamerServiceStub(channels["map_streamer"])

    async def nodes(self, wanted: registry_pb2.ListNodesRequest) -> AsyncIterator[node_types.Node]:
        """Yield the nodes that match, as the registry streams them.

        Raises:
            PageError: the registry does not answer.
        """
        with answering("registry"):
            async for part in self.registry.ListNodes(wanted, timeout=LIST_DEADLINE):
                for node in part.nodes:
                    yield node

    async def node(self, node_id: int) -> node_types.Node:
        """Return one node.

        Raises:
            PageError: there is no such node, or the registry does not answer.
        """
        answer = await self._get_node(registry_pb2.GetNodeRequest(id=node_id), "node: no node has this id")
        return answer.node

    async def node_id(self, parameters: Parameters) -> int | None:
        """Return the node that `?node=` names by id or given name; None without that parameter.

        Raises:
            PageError: there is no such node.
        """
        text = parameters.get("node", "").strip()
        if not text:
            return None
        if text.isascii() and text.isdigit():
            number = int(text) if len(text) < 20 else 0
            if not 0 < number <= MAX_ID:
                raise PageError(400, "node: not an id of a node")
            return number
        answer = await self._get_node(registry_pb2.GetNodeRequest(given_name=text), "node: no node has this given name")
        return int(answer.node.id)

    async def _get_node(self, request: registry_pb2.GetNodeRequest, missing: str) -> registry_pb2.GetNodeResponse:
        try:
            return await self.registry.GetNode(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                raise PageError(404, missing) from None
            with answering("registry"):
                raise

    async def shown(self, parameters: Parameters, *, with_map: bool = False) -> map_streamer_pb2.ShowNodesResponse:
        """Return what the map streamer computes for the named node, or for all.

        Raises:
            PageError: there is no such node, or the map streamer does not answer.
        """
        node_id = await self.node_id(parameters)
        wanted = [] if node_id is None else [node_id]
        request = map_streamer_pb2.ShowNodesRequest(node_ids=wanted, with_map=with_map)
        with answering("map_streamer"):
            answer: map_streamer_pb2.ShowNodesResponse = await self.map_streamer.ShowNodes(request, timeout=DEADLINE)
        if wanted and not answer.nodes:
            raise PageError(404, "node: no node has this id")
        return answer


@contextlib.contextmanager
def answering(service: str) -> Iterator[None]:
    """Turn a failed call into an error of the page.

    Raises:
        PageError: the call failed.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise PageError(_STATUS.get(error.code(), 502), f"{service}: {error.details() or error.code().name}") from None


def time_of(message: Any, field: str) -> str | None:
    """Return a time as text, or None if it is not set."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToJsonString()


def parsed(raw: bytes) -> object:
    """JSON of a service as values; an empty document where there is none."""
    return orjson.loads(raw) if raw else None


def more(truncated: bool, shown: Sequence[object]) -> dict[str, object]:
    """Return a remark for pages that do not show everything."""
    return {"remark": f"only the first {len(shown)} nodes; name one with ?node="} if truncated else {}
