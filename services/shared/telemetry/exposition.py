"""The HTTP server of `/metrics` for Prometheus, `/health` and `/debug/`: too small to need a framework.

`/health` is open to all; the rest to loopback, private addresses and the configured networks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from urllib.parse import parse_qsl, unquote

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from services.shared.telemetry.hosts import is_own_request
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.pages import Document, PageError, Pages
from services.shared.telemetry.reach import Network, may_read
from services.shared.telemetry.writing import as_json, as_text, wants_json

log = get_logger(__name__)

PAGE_DEADLINE = 15.0
_HEAD_LIMIT = 8192
_HEAD_TIMEOUT = 5.0
_SEND_TIMEOUT = 30.0
_MAX_CONNECTIONS = 64
_READING = (b"GET", b"HEAD")
_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
STRANGER = (
    "metrics and debug pages answer loopback and private addresses only, and forwarded requests only when every "
    "address they name is one; add networks to metrics_allowed_networks to let others read\n"
)


WRONG_HOST = (
    "this listener answers requests to its address, to an unqualified or private name, and to names in "
    "metrics_allowed_hosts, and none of a page of another site\n"
)


class MetricsServer:
    """Serves GET and HEAD, and POST for pages that act. One request per connection, few connections at once."""

    def __init__(
        self,
        registry: CollectorRegistry,
        ready: Callable[[], bool] = lambda: True,
        pages: Pages | None = None,
        allowed: Sequence[Network] = (),
        hosts: Sequence[str] = (),
    ) -> None:
        """`allowed` are networks besides loopback and private ones; `hosts` are this machine's names in public DNS."""
        self._registry = registry
        self._ready = ready
        self._pages = pages or Pages()
        self._allowed = tuple(allowed)
        self._hosts = frozenset(host.lower() for host in hosts)
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self, address: str) -> int:
        """Listen on `host:port`, and return the port.

        Raises:
            OSError: the address cannot be bound.
        """
        host, _, port = address.rpartition(":")
        self._server = await asyncio.start_server(self._serve, host.strip("[]") or None, int(port), limit=_HEAD_LIMIT)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > _MAX_CONNECTIONS:
                return
            async with asyncio.timeout(_HEAD_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
            answer = await self._answer(head, str((writer.get_extra_info("peername") or ("",))[0]))
            async with asyncio.timeout(_SEND_TIMEOUT):
                writer.write(answer)
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            log.debug("metrics request dropped")
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes, peer: str) -> bytes:
        line, _, rest = head.partition(b"\r\n")
        method, _, target = line.partition(b" ")
        path, _, query = target.partition(b" ")[0].decode("latin-1").partition("?")
        if path == "/health" and method in _READING:
            return _response(200, "ok\n", method) if self._ready() else _response(503, "not ready\n", method)
        headers = _fields(rest)
        if refusal := self._refusal(peer, headers):
            log.info("metrics request refused", address=peer, host=headers.get("host", "")[:255])
            return _response(403, refusal, method)
        if path == "/debug" or path.startswith("/debug/"):
            return await self._page(unquote(path.removeprefix("/debug").strip("/")), query, headers, method)
        if method not in _READING:
            return _response(405, "only GET\n", method)
        if path == "/metrics":
            return _response(200, generate_latest(self._registry), method, CONTENT_TYPE_PLAIN_0_0_4)
        return _response(404, "see /metrics and /debug/\n", method)

    def _refusal(self, peer: str, headers: dict[str, str]) -> str:
        if not may_read(peer, headers, self._allowed):
            return STRANGER
        return "" if is_own_request(headers, self._hosts) else WRONG_HOST

    async def _page(self, name: str, query: str, headers: dict[str, str], method: bytes) -> bytes:
        status, document = await self._read(name, query, method)
        if wants_json(headers.get("accept", "")):
            return _response(status, as_json(document), method, _JSON)
        text = str(document["error"]) + "\n" if status != 200 else as_text(document)
        return _response(status, text, method)

    async def _read(self, name: str, query: str, method: bytes) -> tuple[int, Document]:
        try:
            page = self._pages.find(name) if name else None
            acts = page is not None and page.acts
            if method not in ((b"POST",) if acts else _READING):
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


def _fields(head: bytes) -> dict[str, str]:
    """Parse header fields by lower-case name; repeated ones are joined into one list."""
    found: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.decode("latin-1").partition(":")
        key = name.strip().lower()
        if colon:
            found[key] = f"{found[key]},{value.strip()}" if key in found else value.strip()
    return found


def _response(status: int, content: str | bytes, method: bytes, kind: str = _TEXT) -> bytes:
    body = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == b"HEAD" else body)
