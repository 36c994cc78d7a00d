"""A channel for generated stubs that makes each call as a POST over HTTP/1.1: the unary Connect protocol.

For a server that is reached by an address such as https://hs.example.com, through whatever proxies stand before it.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import grpc

from cli.frame.errors import CommandError

_PATH = "/api/rpc"
_MEDIA_TYPE = "application/proto"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class HttpError(grpc.RpcError):
    """The failure of a call, with status and text as gRPC's have them."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return self._code

    def details(self) -> str:
        """Return the text."""
        return self._details


class HttpChannel:
    """Channel to one server, with the part of a gRPC channel that generated stubs of unary calls use."""

    def __init__(self, address: str, *, insecure: bool) -> None:
        """Make a channel; `insecure` skips the check of the certificate, and allows http to other machines.

        Raises:
            CommandError: the address is none, or would send the API key in clear text.
        """
        parts = urlsplit(address)
        if not parts.hostname:
            raise CommandError(f"no host in the address {address!r}", "write https://HOST or HOST:PORT")
        if parts.scheme == "http" and not insecure and parts.hostname not in _LOOPBACK:
            raise CommandError(
                f"{address} would send the API key in clear text", "use https://, or HEADSCALE_CLI_INSECURE=true"
            )
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._tls = ssl.create_default_context()
            if insecure:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        **_: Any,
    ) -> _Method:
        """Return the callable of a method, as stubs ask for it."""
        return _Method(self, method, request_serializer, response_deserializer)

    def close(self) -> None:
        """Do nothing: each call has a connection of its own."""

    def post(self, method: str, body: bytes, timeout: float, metadata: Iterable[tuple[str, str]]) -> bytes:
        """Make one call.

        Raises:
            HttpError: it was refused, or the server could not be reached.
        """
        headers = {"Content-Type": _MEDIA_TYPE, "Connection": "close", **dict(metadata)}
        connection = self._connect(timeout)
        try:
            connection.request("POST", f"{self._base}{_PATH}{method}", body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except TimeoutError:
            raise HttpError(grpc.StatusCode.DEADLINE_EXCEEDED, "") from None
        except ssl.SSLCertVerificationError as error:
            raise HttpError(grpc.StatusCode.UNAVAILABLE, f"certificate_verify_failed: {error.verify_message}") from None
        except (OSError, http.client.HTTPException) as error:
            raise HttpError(grpc.StatusCode.UNAVAILABLE, str(error)) from None
        finally:
            connection.close()
        if answer.status == 200 and answer.getheader("Content-Type") == _MEDIA_TYPE:
            return content
        raise _failure(answer.status, content)

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)


class _Method:
    def __init__(
        self, channel: HttpChannel, name: str, serialize: Callable[[Any], bytes], read: Callable[[bytes], Any]
    ) -> None:
        self._channel, self._name, self._serialize, self._read = channel, name, serialize, read

    def __call__(self, request: Any, timeout: float, metadata: Iterable[tuple[str, str]] = ()) -> Any:
        return self._read(self._channel.post(self._name, self._serialize(request), timeout, metadata))

    def future(self, request: Any, timeout: float, metadata: Iterable[tuple[str, str]] = ()) -> _Future:
        """Begin the call in a thread of its own."""
        return _Future(lambda: self(request, timeout, metadata))


class _Future:
    """A call in progress. A cancelled one ends by its timeout; its result is dropped."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._answer: Any = None
        self._error: BaseException | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self._answer = work()
        except BaseException as error:
            self._error = error
        self._done.set()

    def result(self, timeout: float | None = None) -> Any:
        """Return the answer.

        Raises:
            grpc.FutureTimeoutError: there is none yet.
            HttpError: the call failed.
        """
        if not self._done.wait(timeout):
            raise grpc.FutureTimeoutError
        if self._error is not None:
            raise self._error
        return self._answer

    def cancel(self) -> bool:
        """Let it go on by itself."""
        return False


def _failure(status: int, content: bytes) -> HttpError:
    """Read a refusal; what is no refusal of this protocol came from something between, or from an older server."""
    try:
        body = json.loads(content)
        code = grpc.StatusCode[str(body["code"]).upper().replace("CANCELED", "CANCELLED")]
        return HttpError(code, str(body["message"]))
    except (ValueError, KeyError, TypeError):
        code = grpc.StatusCode.UNIMPLEMENTED if status in (404, 405) else grpc.StatusCode.UNAVAILABLE
        return HttpError(code, f"HTTP status {status}")
