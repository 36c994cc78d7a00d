"""The application of `/metrics`, `/health` and `/debug/`: who may read what, in which form. Knows no socket.

`/health` is open to all; the rest to loopback, private addresses and the configured networks. Metrics are written by
prometheus_client, in the format that the reader accepts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from services.shared.telemetry.hosts import is_own_request
from services.shared.telemetry.instruments import CollectorRegistry
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.pages import Document, PageError, Pages
from services.shared.telemetry.read_access import Network, may_read
from services.shared.telemetry.writing import as_json, as_text, wants_json

log = get_logger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PAGE_DEADLINE = 15.0
_READING = ("GET", "HEAD")
_TEXT, _JSON = b"text/plain; charset=utf-8", b"application/json"
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"), (b"connection", b"close"))
STRANGER = (
    "metrics and debug pages answer loopback and private addresses only, and forwarded requests only when every "
    "address they name is one; add networks to metrics_allowed_networks to let others read\n"
)
WRONG_HOST = (
    "this listener answers requests to its address, to an unqualified or private name, and to names in "
    "metrics_allowed_hosts, and none of a page of another site\n"
)


class Exposition:
    """An ASGI application that answers GET and HEAD, and POST for pages that act."""

    def __init__(
        self,
        registry: CollectorRegistry,
        ready: Callable[[], bool] = lambda: True,
        pages: Pages | None = None,
        allowed: Sequence[Network] = (),
        hosts: Iterable[str] = (),
    ) -> None:
        """`allowed` are networks besides loopback and private ones; `hosts` are this machine's names in public DNS."""
        self._registry = registry
        self._ready = ready
        self._pages = pages or Pages()
        self._allowed = tuple(allowed)
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request; the connection ends with the answer."""

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_ALWAYS]}
            await send(message)

        await self._route(scope, receive, closing)

    async def _route(self, scope: Message, receive: Receive, send: Send) -> None:
        path, method, headers = scope["path"], scope["method"], _fields(scope["headers"])
        if path == "/health" and method in _READING:
            return await (_answer(send, 200, "ok\n") if self._ready() else _answer(send, 503, "not ready\n"))
        peer = str((scope.get("client") or ("",))[0])
        if refusal := self._refusal(peer, headers):
            log.info("metrics request refused", address=peer, host=headers.get("host", "")[:255])
            return await _answer(send, 403, refusal)
        if path == "/debug" or path.startswith("/debug/"):
            name = path.removeprefix("/debug").strip("/")
            return await self._page(send, name, scope["query_string"].decode("latin-1"), headers, method)
        if method not in _READING:
            return await _answer(send, 405, "only GET\n")
        if path == "/metrics":
            from prometheus_client import make_asgi_app  # late: with it comes an HTTP server that we do not use

            await make_asgi_app(self._registry)(scope, receive, send)
            return None
        return await _answer(send, 404, "see /metrics and /debug/\n")

    def _refusal(self, peer: str, headers: dict[str, str]) -> str:
        if not may_read(peer, headers, self._allowed):
            return STRANGER
        return "" if is_own_request(headers, self._hosts) else WRONG_HOST

    async def _page(self, send: Send, name: str, query: str, headers: dict[str, str], method: str) -> None:
        status, document = await self._read(name, query, method)
        if wants_json(headers.get("accept", "")):
            await _answer(send, status, as_json(document), _JSON)
        else:
            await _answer(send, status, str(document["error"]) + "\n" if status != 200 else as_text(document))

    async def _read(self, name: str, query: str, method: str) -> tuple[int, Document]:
        try:
            page = self._pages.find(name) if name else None
            acts = page is not None and page.acts
            if method not in (("POST",) if acts else _READING):
                raise PageError(405, "only POST, because this page acts" if acts else "only GET")
            if page is None:
                return 200, self._pages.index()
            parameters = _parameters(query)
            async with asyncio.timeout(PAGE_DEADLINE):
                return 200, await page.read(parameters)
        except PageError as error:
            return error.status, {"error": str(error)}
        except TimeoutError:
            return 504, {"error": "the page took too long"}
        except Exception:
            log.exception("debug page failed", page=name[:64])
            return 500, {"error": "internal error"}


def _parameters(query: str) -> dict[str, str]:
    """Parse the query parameters of a request.

    Raises:
        PageError: a parameter is given twice, or there are too many.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise PageError(400, "the query has more than 16 parameters") from None
    named = dict(pairs)
    if len(named) != len(pairs):
        raise PageError(400, "the query gives a parameter more than once")
    return named


def _fields(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return header fields by lower-case name; repeated ones are joined into one list."""
    found: dict[str, str] = {}
    for name, raw in headers:
        key, value = name.decode("latin-1"), raw.decode("latin-1").strip()
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


async def _answer(send: Send, status: int, content: str | bytes, kind: bytes = _TEXT) -> None:
    body = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
