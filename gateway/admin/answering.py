"""Registers plain calls as a service of smartscale.admin.v1: every failure becomes a status with a text for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from grpc.aio import ServicerContext

from gateway.admin import author
from gateway.admin.stubs import Refused
from services.shared.rpc.handlers import UnaryBehaviour, add_unary_methods
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


def add_to(server: grpc.aio.Server, service: ServiceDescriptor, calls: object) -> None:
    """Register the service on a server; `calls` has a coroutine function of one argument for each of its methods."""
    add_unary_methods(server, service, lambda name: _answering(getattr(calls, name), name))


def _answering(call: Callable[[Message], Awaitable[Message]], name: str) -> UnaryBehaviour:
    async def answer(request: Message, context: ServicerContext[Message, Message]) -> Message:
        author.note_peer(context)
        try:
            return await call(request)
        except grpc.aio.AioRpcError as error:
            code, text = error.code(), error.details() or ""
        except Refused as refusal:
            code, text = refusal.code, str(refusal)
        except Exception:
            log.exception("administration call failed", call=name)
            code, text = grpc.StatusCode.INTERNAL, "internal error"
        return await context.abort(code, text)

    return answer
