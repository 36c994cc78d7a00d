"""Server-side TLS between a socket and a protocol, on the transports of any event loop. Knows no files.

Python's own TLS keeps buffers for each connection, and they stay as large as the largest message that went through.
Here every step processes all received bytes and buffers none, so one pair of buffers serves all connections of a loop,
and an idle connection costs OpenSSL's state and one small object:

    socket > data_received > [incoming] > OpenSSL > plaintext > the protocol's data_received
    the protocol's write > OpenSSL > [outgoing] > socket

`connection_made` is called before the handshake, so that limits on connections and their time cover the handshake too;
a protocol must not write before it has received data. Otherwise the transport behaves as asyncio's: close_notify from
either side closes the connection in both directions.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from services.shared.net.stacked_transport import StackedTransport

RECORD = 16 << 10
"""Maximum plaintext of a TLS record, in bytes (RFC 8446 section 5.1)."""
LINGER = 30.0
"""Seconds to wait for the peer's close_notify after ours, as in asyncio."""
_PIECE = 128 << 10
"""Maximum bytes encrypted at once: the shared buffer never shrinks, so larger messages are split."""
_ACME_ALPN = b"\x0aacme-tls/1"
"""The ALPN name with its length, as in the ClientHello of a validating CA (RFC 7301 section 3.1)."""
_PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 32\r\n"
    b"connection: close\r\n\r\nthis port speaks https, not http"
)

Data = bytes | bytearray | memoryview


def ignore(_connection: TlsConnection, _reason: str) -> None:
    """Ignore a failed handshake."""


Challenge = Callable[[], ssl.SSLContext | None]
"""Returns the context for an open TLS-ALPN-01 challenge (RFC 8737), or None."""
OnFailed = Callable[["TlsConnection", str], None]


def bare_context() -> ssl.SSLContext:
    """Return a server context: TLS 1.2 or newer, no client certificates, ALPN or tickets; without a certificate yet.

    Clients that resume sessions are browsers, which come seldom; the clients of the control protocol and of relays
    never do, and each ticket would cost a copy of the session and its encryption.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    return context


def server_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """Return `bare_context()` with a certificate loaded.

    Raises:
        OSError: the files are not a certificate and its key.
    """
    context = bare_context()
    context.load_cert_chain(certificate, key)
    return context


def over_tls(
    make: Callable[..., asyncio.Protocol],
    context: ssl.SSLContext,
    on_failed: OnFailed = ignore,
    challenge: Challenge | None = None,
) -> Callable[..., TlsConnection]:
    """Wrap a protocol factory so that its protocols are reached over TLS, for one event loop."""
    shared = Terminator(context, on_failed, challenge)
    return lambda *positional, **named: TlsConnection(shared, make(*positional, **named))


class Terminator:
    """State shared by the connections of one listener on one event loop. Its buffers are empty between calls."""

    __slots__ = ("challenge", "context", "incoming", "on_failed", "outgoing", "plaintext")

    def __init__(
        self, context: ssl.SSLContext, on_failed: OnFailed = ignore, challenge: Challenge | None = None
    ) -> None:
        """`on_failed` is called for each failed handshake, with OpenSSL's name of the reason."""
        self.context = context
        self.on_failed = on_failed
        self.challenge = challenge
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.plaintext = memoryview(bytearray(RECORD))

    def context_for(self, hello: bytes) -> ssl.SSLContext:
        """Return the context for a connection by the first bytes of its ClientHello."""
        other = self.challenge() if self.challenge is not None and _ACME_ALPN in hello else None
        return self.context if other is None else other


class TlsConnection(asyncio.Protocol, StackedTransport):
    """One TLS connection: the protocol of the socket's transport, and the transport of the inner protocol."""

    __slots__ = ("_failure", "_linger", "_ready", "_shared", "_tls")

    def __init__(self, shared: Terminator, protocol: asyncio.Protocol) -> None:
        super().__init__(protocol)
        self._shared = shared
        self._tls: ssl.SSLObject | None = None
        self._ready = False
        self._failure: Exception | None = None
        self._linger: asyncio.TimerHandle | None = None

    # Called by the socket's transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the socket; the client starts the handshake."""
        self._socket = transport  # type: ignore[assignment]  # uvloop's has all methods and is no subclass
        if self._protocol is not None:
            self._protocol.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Decrypt received bytes, send TLS's own messages, then pass the plaintext on in one call."""
        if self._closing and (self._linger is None or self._failure is not None):
            return
        plain: list[bytes] = []
        ended, failure = False, None
        try:
            ended = self._open(data, plain)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError as error:
            failure = error
        finally:
            self._shared.incoming.read()
            self._flush()
        if self._closing:
            if self._socket is not None and (ended or failure is not None):
                self._socket.close()
            return
        if plain:
            self._protocol.data_received(plain[0] if len(plain) == 1 else b"".join(plain))  # type: ignore[union-attr]
        if failure is not None:
            self._fail(failure)
        elif ended:
            self.eof_received()

    def _open(self, data: bytes, plain: list[bytes]) -> bool:
        """Append the decrypted plaintext to `plain`. Returns whether the peer sent close_notify."""
        shared, tls = self._shared, self._tls
        incoming, view = shared.incoming, shared.plaintext
        if tls is None:
            context = shared.context_for(data)
            tls = self._tls = context.wrap_bio(incoming, shared.outgoing, server_side=True)
        incoming.write(data)
        if not self._ready:
            tls.do_handshake()
            self._ready = True
        while incoming.pending or tls.pending():
            size: int = tls.read(RECORD, view)  # type: ignore[assignment]  # a size, when there is a buffer
            if not size:
                return True
            plain.append(bytes(view[:size]))
        return False

    def eof_received(self) -> None:
        """Close both directions, as TLS has no half-closed connections."""
        if self._ready and not self._closing and self._protocol is not None:
            self._protocol.eof_received()  # type: ignore[attr-defined]
        self.close()
        if self._socket is not None:
            self._socket.close()  # no close_notify can follow

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the loss of the socket on to the protocol."""
        self._closing = True
        self._socket = self._tls = None
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc or self._failure)

    def pause_writing(self) -> None:
        """Pass back-pressure of the socket on to the protocol."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass the end of back-pressure on to the protocol."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    # Called by the inner protocol

    def write(self, data: Data) -> None:
        """Encrypt and send. Does nothing once the connection is closing.

        Raises:
            RuntimeError: the handshake is not complete.
        """
        if self._closing or not data:
            return
        if not self._ready or self._tls is None:
            raise RuntimeError("nothing can be sent before the tls handshake is done")
        write, outgoing = self._tls.write, self._shared.outgoing
        sealed = []
        try:
            if len(data) <= RECORD:
                write(data)
            else:
                with memoryview(data) as view:
                    for start in range(0, len(view), RECORD):
                        write(view[start : start + RECORD])
                        if outgoing.pending >= _PIECE:
                            sealed.append(outgoing.read())
        except ssl.SSLError as error:
            self._fail(error)
            return
        if sealed and self._socket is not None:
            self._socket.writelines([*sealed, outgoing.read()])
        else:
            self._flush()

    def writelines(self, list_of_data: Iterable[Data]) -> None:
        """Send several pieces in one write."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Send close_notify after the written data, and close the socket on the peer's or after the timeout."""
        if self._closing:
            return
        self._closing = True
        if not self._ready or self._tls is None:
            self.abort()
            return
        over = True
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            over = False  # usually SSLWantReadError: the peer has not sent close_notify
        self._shared.incoming.read()
        self._flush()
        if self._socket is None:
            return
        if over:
            self._socket.close()
        else:
            self._await_end(self._socket)

    def abort(self) -> None:
        """Close the socket at once; unsent data is lost."""
        self._closing = True
        if self._socket is not None:
            self._socket.abort()

    def _fail(self, error: ssl.SSLError) -> None:
        """Close after a violation of TLS, for which OpenSSL has written an alert."""
        if self._closing or self._socket is None:
            return
        self._closing, self._failure = True, error
        self._flush()
        if error.reason == "HTTP_REQUEST":
            self._socket.write(_PLAIN_HTTP)
        self._shared.on_failed(self, error.reason or type(error).__name__)
        if not self._socket.is_closing():
            with contextlib.suppress(OSError):  # it has been reset
                self._socket.write_eof()
        self._await_end(self._socket)

    def _await_end(self, socket: asyncio.Transport) -> None:
        """Discard received data until the peer closes, so that no reset destroys data in flight to the peer.

        Our FIN is not sent before the peer's: asyncio's clients lose data that they have not read by then.
        """
        if not socket.is_closing() and not socket.is_reading():
            socket.resume_reading()
        self._linger = asyncio.get_running_loop().call_later(LINGER, socket.abort)

    def _flush(self) -> None:
        outgoing = self._shared.outgoing
        if outgoing.pending:
            data = outgoing.read()
            if self._socket is not None:
                self._socket.write(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a value as asyncio's TLS transport does, else the socket's."""
        if name == "sslcontext":
            return self._shared.context
        if name == "ssl_object":
            return self._tls if self._tls is not None else default
        if name in ("peercert", "cipher") and self._tls is not None:
            return self._tls.getpeercert() if name == "peercert" else self._tls.cipher()
        return super().get_extra_info(name, default)
