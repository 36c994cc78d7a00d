"""Puts plain calls behind a servicer of smartscale.admin.v1: every failure becomes a status with a text for people."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from gateway.admin import author
from gateway.admin.stubs import Refused
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


def fill(servicer: Any, service: ServiceDescriptor, calls: object) -> Any:
    """Let `calls` answer every method of the service; returns the servicer."""
    for name in service.methods_by_name:
        setattr(servicer, name, _answering(calls, name))
    return servicer


def _answering(calls: object, name: str) -> Any:
    async def answer(request: Message, context: Any) -> Any:
        author.note_peer(context)
        try:
            return await getattr(calls, name)(request)
        except grpc.aio.AioRpcError as error:
            code, text = error.code(), error.details() or ""
        except Refused as refusal:
            code, text = refusal.code, str(refusal)
        except Exception:
            log.exception("administration call failed", call=name)
            code, text = grpc.StatusCode.INTERNAL, "internal error"
        return await context.abort(code, text)

    return answer
