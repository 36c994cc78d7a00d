"""Public endpoints for clients, relays and operators: control key, relay admission, health, version."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.clients.failure import ServiceError
from gateway.web import POST, READ, Routes
from services.shared.build_info import described
from services.shared.keys import KeyFormatError, MachineKey, NodeKey
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_VERIFY_BODY = 4096
HEALTH_IS_FRESH = 1.0
"""Seconds that an answer of /health may be repeated: it costs four calls, and anyone may ask."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,9}\Z")
_CHALLENGE = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
_OPEN = {"Access-Control-Allow-Origin": "*"}


class LivenessCheck(Protocol):
    """Checks which services answer."""

    async def failing(self) -> list[str]:
        """Return the names of the services that do not answer."""
        ...


class Health:
    """The answer of /health, computed at most once a second."""

    def __init__(self, liveness: LivenessCheck, clock: Callable[[], float] = time.monotonic) -> None:
        self._liveness, self._clock = liveness, clock
        self._checked = float("-inf")
        self._failing: list[str] = []

    async def failing(self) -> list[str]:
        """Return the names of the services that do not answer."""
        if self._clock() - self._checked >= HEALTH_IS_FRESH:
            self._checked = self._clock()
            failing = await self._liveness.failing()
            if failing and failing != self._failing:
                log.warning("services do not answer", services=",".join(failing))
            self._failing = failing
        return self._failing


def control_router(control_key: MachineKey, may_relay: Callable[[NodeKey], Awaitable[bool]], health: Health) -> Routes:
    """Return the routes; `may_relay` returns whether a node key may use relays."""
    router = Routes(direct=True)
    key_body = orjson.dumps({"legacyPublicKey": str(MachineKey.zero()), "publicKey": str(control_key)})
    version_body = orjson.dumps(described())

    @router.on("/key")
    async def key(request: Request) -> Response:
        if not _NUMBER.match(request.query_params.get("v", "")):
            return PlainTextResponse("the query needs v, the client's capability version\n", 400, _OPEN)
        return Response(key_body, 200, {**_OPEN, "Cache-Control": "no-store"}, "application/json")

    @router.on("/health", READ)
    async def answer_health(_request: Request) -> Response:
        failing = await health.failing()
        body: dict[str, object] = {"status": "fail", "failing": failing} if failing else {"status": "pass"}
        no_store = {"Cache-Control": "no-store"}
        return Response(orjson.dumps(body), 500 if failing else 200, no_store, "application/health+json")

    @router.on("/version")
    async def answer_version(_request: Request) -> Response:
        return Response(version_body, media_type="application/json")

    @router.on("/verify", POST)
    async def verify(request: Request) -> Response:
        node = _node_of(await _body(request, MAX_VERIFY_BODY))
        if node is None:
            return PlainTextResponse("want {NodePublic, Source} with a node key\n", 400)
        try:
            allow = await may_relay(node)
        except ServiceError as error:
            log.warning("relay admission not possible", reason=str(error))
            return PlainTextResponse("the registry does not answer\n", 503)
        return Response(orjson.dumps({"Allow": allow}), media_type="application/json")

    @router.on("/generate_204", READ)
    async def generate_204(request: Request) -> Response:
        challenge = request.headers.get("x-tailscale-challenge", "")
        proof = {"X-Tailscale-Response": f"response {challenge}"} if _CHALLENGE.match(challenge) else {}
        return Response(status_code=204, headers=proof)

    @router.on("/robots.txt")
    async def robots(_request: Request) -> Response:
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    return router


async def _body(request: Request, limit: int) -> bytes | None:
    """Return the body, or None if it is longer than `limit` bytes."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def _node_of(body: bytes | None) -> NodeKey | None:
    try:
        found = orjson.loads(body) if body is not None else None
        text = found.get("NodePublic") if isinstance(found, dict) else None
        return NodeKey.parse(text) if isinstance(text, str) else None
    except (orjson.JSONDecodeError, KeyFormatError):
        return None
