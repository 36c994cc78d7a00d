"""Queries to connected nodes: HTTP over the map session (c2n), and pings. Owns the open queries.

A query travels as a keep-alive with a PingRequest. The answer is a POST (for plain pings a HEAD) inside any tunnel
of the same machine, found by the token in its path: some clients drop query strings and replace the host.
"""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
from dataclasses import dataclass, field
from http.client import HTTPResponse
from io import BytesIO
from typing import Any, Protocol, cast

import orjson
import zstandard

from gateway.exchange import Responder, TunnelRequest
from gateway.machine.map_framing import framed
from gateway.machine.refusal import Refusal, refuse
from gateway.machine.session import MapSession
from services.shared.keys import MachineKey

PREFIX = "/c2n/"
HOST = "https://unused"
"""https keeps the answer in a tunnel; http would make the client dial in the clear."""
MAX_OPEN = 4096
MAX_ANSWER = 32 << 20
"""Bytes of an answer: the netmap of a node with ten thousand peers."""
PING_TYPES = ("disco", "TSMP", "ICMP", "peerapi")

_METHOD = re.compile(r"[A-Z]{1,16}")
_PATH = re.compile(r"/[!-~]{0,2000}")

UNKNOWN_QUERY = Refusal(404, "there is no such query")


class NodeNotConnectedError(LookupError):
    """The node has no map session here that accepts a message now."""


class BadAnswerError(ValueError):
    """The node posted something other than the requested answer."""


class Sessions(Protocol):
    """The map sessions, as queries use them."""

    def of_node(self, node_id: int) -> MapSession | None:
        """Return the session of a node, if it has one here."""
        ...

    def ping(self, node_id: int, message: list[bytes]) -> bool:
        """Send a framed message to a node. Returns False if its session cannot accept it now."""
        ...


@dataclass(frozen=True, slots=True)
class C2nAnswer:
    """The answer of the node's own HTTP handler."""

    status: int
    body: bytes = field(repr=False)


@dataclass(slots=True)
class _NodeQuery:
    machine_key: MachineKey
    answer: asyncio.Future[bytes]
    claimed: bool = False
    """Whether a request with a long body has begun for it."""


class NodeQueries:
    """The queries that wait for the answer of a node."""

    def __init__(self, sessions: Sessions, host: str = HOST, max_answer: int = MAX_ANSWER) -> None:
        """`host` is `https://` and the control URL's authority: clients from 1.90 on open another tunnel for any other
        one, and behind a load balancer that tunnel may end at another gateway, which does not know the query.
        """
        self._sessions = sessions
        self._host = host
        self._max_answer = max_answer
        self._open: dict[str, _NodeQuery] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def c2n(self, node_id: int, method: str, path: str, body: bytes = b"", timeout: float = 30.0) -> C2nAnswer:
        """Have a node handle an HTTP request.

        Raises:
            ValueError: the method or the path is malformed.
            NodeNotConnectedError: it has no session here, or reads too slowly.
            BadAnswerError: it posted something other than an HTTP response.
            TimeoutError: it did not answer in time.
        """
        if not _METHOD.fullmatch(method) or not _PATH.fullmatch(path):
            raise ValueError("a method is a few capital letters, a path begins with a slash and has no blanks")
        head = f"{method} {path} HTTP/1.1\r\nHost: c2n\r\nContent-Length: {len(body)}\r\n\r\n"
        payload = base64.b64encode(head.encode("ascii") + body).decode("ascii")
        return _parse(await self._send(node_id, {"Types": "c2n", "Payload": payload}, timeout))

    async def ping(self, node_id: int, address: str, types: str, timeout: float = 15.0) -> bytes:
        """Have a node ping an address. Returns its PingResponse as JSON.

        Raises:
            ValueError: an unknown type of ping.
            NodeNotConnectedError: it has no session here, or reads too slowly.
            TimeoutError: it did not answer in time, or its ping failed (then it posts nothing).
        """
        if not types or any(kind not in PING_TYPES for kind in types.split(",")):
            raise ValueError("ping types are a list of " + ", ".join(PING_TYPES))
        return await self._send(node_id, {"Types": types, "IP": address}, timeout)

    async def alive(self, node_id: int, timeout: float = 15.0) -> None:
        """Wait until a node answers.

        Raises:
            NodeNotConnectedError: it has no session here, or reads too slowly.
            TimeoutError: it did not answer in time.
        """
        await self._send(node_id, {"Types": ""}, timeout)

    def body_limit(self, target: str) -> int:
        """Return the bytes that the body of a request may have beyond the usual limit: once per open query, else 0.

        Only the queried node knows the token, so no other client can send such a body.
        """
        query = self._open.get(target.partition("?")[0].removeprefix(PREFIX))
        if query is None or query.claimed:
            return 0
        query.claimed = True
        return self._max_answer

    def answer(self, request: TunnelRequest, responder: Responder) -> None:
        """Accept the answer to a query, from the machine that was queried only."""
        query = self._open.get(request.path.removeprefix(PREFIX))
        if query is None or query.machine_key != request.machine_key:
            refuse(responder, UNKNOWN_QUERY)
            return
        if not query.answer.done():
            query.answer.set_result(request.body)
        responder.respond(204)

    async def _send(self, node_id: int, ping: dict[str, str], timeout: float) -> bytes:
        session = self._sessions.of_node(node_id)
        if session is None or len(self._open) >= MAX_OPEN:
            raise NodeNotConnectedError("the node has no map session here")
        token = secrets.token_urlsafe(16)
        message = orjson.dumps(
            {"KeepAlive": True, "PingRequest": {"URL": f"{self._host}{PREFIX}{token}", "URLIsNoise": True, **ping}}
        )
        if session.request.zstd:
            message = zstandard.ZstdCompressor(level=1).compress(message)
        query = _NodeQuery(session.request.machine_key, asyncio.get_running_loop().create_future())
        self._open[token] = query
        try:
            if not self._sessions.ping(node_id, framed([message])):
                raise NodeNotConnectedError("the node reads too slowly at the moment")
            async with asyncio.timeout(timeout):
                return await query.answer
        finally:
            del self._open[token]


class _Socket:
    """A response as http.client reads it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._data)


def _parse(raw: bytes) -> C2nAnswer:
    response = HTTPResponse(cast(Any, _Socket(raw)))
    try:
        response.begin()
        return C2nAnswer(response.status, response.read())
    except Exception:
        raise BadAnswerError("the node posted no HTTP response") from None
