"""A look inside running clients, through the server: their own netmap, and a ping from one to another."""

from __future__ import annotations

import json
from typing import Any

import grpc
from smartscale.gateway.v1 import gateway_pb2, gateway_pb2_grpc

from tests.e2e.servers import Server, Stack

_OPTIONS = (("grpc.max_receive_message_length", 64 << 20),)
"""A netmap has about a KiB for each peer, and gRPC alone lets 4 MiB in."""


def _stubs(server: Server) -> list[gateway_pb2_grpc.DebugServiceStub]:
    sockets = [str(server.folder / "headscale.sock")]
    if isinstance(server, Stack):
        sockets.append(server.socket_of(2))
    return [gateway_pb2_grpc.DebugServiceStub(grpc.insecure_channel(f"unix://{path}", _OPTIONS)) for path in sockets]


def _ask(server: Server, call: str, request: Any, timeout: float = 12) -> Any:
    """Ask the gateway that holds the node's session; None when none of them does, or the client does not answer."""
    for stub in _stubs(server):
        try:
            return getattr(stub, call)(request, timeout=timeout)
        except grpc.RpcError as error:
            if error.code() not in (
                grpc.StatusCode.NOT_FOUND,
                grpc.StatusCode.DEADLINE_EXCEEDED,
                grpc.StatusCode.UNAVAILABLE,
            ):
                raise
    return None


def netmap(server: Server, node_id: int, timeout: float = 12) -> dict[str, Any]:
    """The netmap that a client holds, as it says itself. Empty peers when it could not be asked."""
    question = gateway_pb2.C2nRequest(node_id=node_id, method="GET", path="/debug/netmap")
    answer = _ask(server, "C2n", question, timeout)
    if answer is None:
        return {"Peers": []}
    held = json.loads(answer.body)
    held = held.get("current", held)
    return {**held, "Peers": held.get("Peers") or []}


def ping(server: Server, node_id: int, address: str) -> dict[str, Any]:
    """What a client says of a disco ping to an address. Empty when there was no answer."""
    answer = _ask(server, "Ping", gateway_pb2.PingRequest(node_id=node_id, address=address, types="disco"))
    return json.loads(answer.result) if answer is not None and answer.result else {}
