"""gRPC handlers of the administration calls: translate between a gRPC call and the chain. Decide nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from gateway.admin.chain import Chain
from gateway.admin.context import Arrival
from gateway.admin.grpc.peer import address_of
from gateway.admin.local_socket import USER_MARK, user_name
from gateway.admin.methods import Method
from gateway.admin.refusal import Refused, invalid
from gateway.proxies import Network, client_address
from services.shared.telemetry.propagation import HEADER

WIRE = "grpc"

Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Arrive = Callable[[Context], Arrival]
"""Reads how a call arrived from its gRPC context."""


def arrive_over_unix(context: Context) -> Arrival:
    """Return the arrival of a call over the unix socket, which only trusted users may open."""
    _, marked, number = context.peer().rpartition(USER_MARK)
    name = user_name(int(number)) if marked and number.isdigit() else ""
    return Arrival(WIRE, trusted=True, system_user=name, traceparent=_metadata(context).get(HEADER, ""))


def arrive_over_tcp(trusted_proxies: Sequence[Network]) -> Arrive:
    """Return the reader of arrivals over TCP; `trusted_proxies` may name the client that they forward for."""
    trusted = tuple(trusted_proxies)

    def arrive(context: Context) -> Arrival:
        metadata = _metadata(context)
        address = client_address(address_of(context.peer()), metadata, trusted)
        return Arrival(WIRE, address, metadata.get("authorization"), traceparent=metadata.get(HEADER, ""))

    return arrive


def add_to(server: grpc.aio.Server, chain: Chain, arrive: Arrive) -> tuple[str, ...]:
    """Register all calls of the chain; returns the full names of their services."""
    services: defaultdict[str, dict[str, grpc.RpcMethodHandler[bytes, bytes]]] = defaultdict(dict)
    for name, method in chain.methods.items():
        # Requests are parsed inside the handler: a decoder that raises outside of it is logged with a traceback.
        handler = _handler(chain, name, method, arrive)
        services[method.service][method.name] = grpc.unary_unary_rpc_method_handler(handler)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, handlers) for service, handlers in services.items()]
    )
    return tuple(services)


def admit_with(chain: Chain, arrive: Arrive) -> Callable[[Context], Awaitable[None]]:
    """Return a check that ends calls without a known caller, for services outside the chain."""

    async def admit(context: Context) -> None:
        try:
            async with chain.enter(arrive(context)):
                pass
        except Refused as refusal:
            await context.abort(refusal.code, str(refusal))

    return admit


def _handler(chain: Chain, name: str, method: Method, arrive: Arrive) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def handle(request: bytes, context: Context) -> bytes:
        try:
            async with chain.enter(arrive(context)) as call:
                answer = await chain.call(call, name, _parse(method, request))
                return answer.SerializeToString()
        except Refused as refusal:
            if refusal.retry_after:
                context.set_trailing_metadata((("retry-after", str(refusal.retry_after)),))
            await context.abort(refusal.code, str(refusal))

    return handle


def _parse(method: Method, request: bytes) -> Message:
    try:
        return method.request.FromString(request)
    except DecodeError:
        raise invalid("request", f"not a message of the type {method.contract.input_type.full_name}") from None


def _metadata(context: Context) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
