"""The HTTP/1.1 requests that a DERP host serves: parsing of a request head, and its response. Knows no socket.

Clients differ, so checks are lenient: any method and any Host reach `/derp` (the Rust client sends POST and the
address it dialled), `Upgrade` is compared without case, and `websocket` without the subprotocol `derp` means plain
DERP frames, as very old clients sent it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote

import httptools
import orjson

from services.shared.keys import NodeKey

MAX_HEAD: Final = 16 << 10
END_OF_HEAD: Final = b"\r\n\r\n"

_CHALLENGE = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z", re.ASCII)
_WEBSOCKET_KEY = re.compile(r"[A-Za-z0-9+/]{22}==\Z", re.ASCII)
_WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NO_CACHE = ("Cache-Control", "no-cache, no-store, must-revalidate, no-transform, max-age=0")
_TEXT = ("Content-Type", "text/plain; charset=utf-8")
_REASONS = {200: "OK", 204: "No Content", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
_REASONS |= {426: "Upgrade Required", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}


class BadRequestError(Exception):
    """The bytes are not an HTTP/1 request head."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request head. Header names are lower case; the values of a repeated header are joined by commas."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    keep_alive: bool

    def header(self, name: str) -> str:
        """Return the value of a header; empty if it is absent."""
        return self.headers.get(name, "")

    @property
    def has_body(self) -> bool:
        """Return whether a body follows the head. It is never read."""
        return self.header("content-length").strip("0 ") != "" or "transfer-encoding" in self.headers


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A complete response; the connection is closed after it unless `keep_alive`."""

    data: bytes
    keep_alive: bool
    status: int


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A switch to DERP after `data` is sent; with `websocket`, frames travel in binary messages."""

    data: bytes
    websocket: bool
    not_ideal: bool


@dataclass(frozen=True, slots=True)
class Host:
    """The facts about this host that responses contain."""

    server: NodeKey
    hostname: str
    addresses: tuple[str, ...] = ()


class _Head:
    """Callbacks of the HTTP parser; collects the target and the headers."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[str, str] = {}

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1").strip()
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text


def parse_head(head: bytes) -> Request:
    """Parse a request head, from the request line to the empty line.

    Raises:
        BadRequestError: the head is not HTTP/1, or its target is malformed.
    """
    collected = _Head()
    parser = httptools.HttpRequestParser(collected)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except (httptools.HttpParserError, httptools.HttpParserCallbackError) as error:
        raise BadRequestError("not an HTTP request") from error
    try:
        url = httptools.parse_url(collected.target)
        path = unquote((url.path or b"/").decode("ascii"))
        query = (url.query or b"").decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError) as error:
        raise BadRequestError("not a request target") from error
    method = parser.get_method().decode("ascii")
    connection = {option.strip().lower() for option in collected.headers.get("connection", "").split(",")}
    keep_alive = parser.get_http_version() == "1.1" and "close" not in connection
    return Request(method, path, query, collected.headers, keep_alive)


def respond(request: Request, host: Host, *, healthy: bool = True) -> HttpAnswer | Upgrade:
    """Return the response, or the protocol switch, for a request. `healthy` is False while the relay stops."""
    match request.path:
        case "/derp":
            return _derp(request, host)
        case "/derp/probe" | "/derp/latency-check":
            return _probe(request)
        case "/generate_204":
            return _answer(request, 204, b"", (*_challenge(request), _NO_CACHE))
        case "/bootstrap-dns":
            return _bootstrap_dns(request, host)
        case "/health":
            status, text = (200, b"ok\n") if healthy else (503, b"stopping\n")
            return _answer(request, status, text, (_TEXT,))
        case "/":
            return _answer(request, 200, b"This is a DERP relay and STUN server for a tailnet.\n", (_TEXT,))
        case "/robots.txt":
            return _answer(request, 200, b"User-agent: *\nDisallow: /\n", (_TEXT,))
        case _:
            return _answer(request, 404, b"not found\n", (_TEXT,))


def refuse(status: int, text: str) -> HttpAnswer:
    """Return an error response that closes the connection, for bytes that are not a request."""
    return HttpAnswer(_encode(status, text.encode() + b"\n", (_TEXT, ("Connection", "close"))), False, status)


def accept_of(key: str) -> str:
    """Return `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2)."""
    proof = hashlib.sha1(key.encode("latin-1") + _WEBSOCKET_GUID, usedforsecurity=False)
    return base64.b64encode(proof.digest()).decode()


def _derp(request: Request, host: Host) -> HttpAnswer | Upgrade:
    kinds = {kind.strip().lower() for kind in request.header("upgrade").split(",")}
    protocols = {name.strip() for name in request.header("sec-websocket-protocol").split(",")}
    not_ideal = bool(request.header("ideal-node"))
    if "websocket" in kinds and "derp" in protocols:
        return _websocket(request, not_ideal)
    if not kinds & {"derp", "websocket"}:
        return _answer(request, 426, b"DERP requires connection upgrade\n", (_TEXT, ("Upgrade", "DERP")))
    if request.header("derp-fast-start") == "1":
        return Upgrade(b"", False, not_ideal)
    lines = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"
        f"Derp-Version: 2\r\nDerp-Public-Key: {host.server.raw.hex()}\r\n\r\n"
    )
    return Upgrade(lines.encode(), False, not_ideal)


def _websocket(request: Request, not_ideal: bool) -> HttpAnswer | Upgrade:
    key = request.header("sec-websocket-key")
    if request.header("sec-websocket-version") != "13" or not _WEBSOCKET_KEY.match(key):
        return _answer(request, 426, b"WebSocket version 13 is needed\n", (_TEXT, ("Sec-WebSocket-Version", "13")))
    lines = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_of(key)}\r\nSec-WebSocket-Protocol: derp\r\n\r\n"
    )
    return Upgrade(lines.encode(), True, not_ideal)


def _probe(request: Request) -> HttpAnswer:
    if request.method not in ("GET", "HEAD"):
        return _answer(request, 405, b"only GET and HEAD probe\n", (_TEXT, ("Allow", "GET, HEAD")))
    return _answer(request, 200, b"", (("Access-Control-Allow-Origin", "*"),))


def _challenge(request: Request) -> tuple[tuple[str, str], ...]:
    challenge = request.header("x-tailscale-challenge")
    return (("X-Tailscale-Response", f"response {challenge}"),) if _CHALLENGE.match(challenge) else ()


def _bootstrap_dns(request: Request, host: Host) -> HttpAnswer:
    """Answer a bootstrap DNS query. Only our own name is resolved; any other gets an empty object."""
    wanted = parse_qs(request.query).get("q", [host.hostname])[0].rstrip(".").lower()
    known = {host.hostname: list(host.addresses)} if wanted == host.hostname.lower() and host.addresses else {}
    return _answer(request, 200, orjson.dumps(known), (("Content-Type", "application/json"),))


def _answer(request: Request, status: int, body: bytes, headers: tuple[tuple[str, str], ...]) -> HttpAnswer:
    keep_alive = request.keep_alive and not request.has_body
    connection = () if keep_alive else (("Connection", "close"),)
    data = _encode(status, body, (*headers, *connection), head=request.method == "HEAD")
    return HttpAnswer(data, keep_alive, status)


def _encode(status: int, body: bytes, headers: tuple[tuple[str, str], ...], *, head: bool = False) -> bytes:
    length = () if status == 204 else (("Content-Length", str(len(body))),)
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *(f"{name}: {value}" for name, value in (*headers, *length))]
    return "\r\n".join(lines).encode("latin-1") + END_OF_HEAD + (b"" if head else body)
