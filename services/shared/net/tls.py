"""TLS between a socket and a protocol: the server's end, on the transports of any event loop. Knows no files.

Python's own TLS keeps buffers for each connection, and they stay as large as the largest message that went through.
Here every step takes what arrived, hands on what it became and leaves nothing behind, so one pair of buffers serves all
connections of a loop, and an idle connection is OpenSSL's state and one small object:

    socket > data_received > [incoming] > OpenSSL > plaintext > the protocol's data_received
    the protocol's write > OpenSSL > [outgoing] > socket

A protocol meets its transport before the handshake, so that whoever bounds connections and their time bounds this part
of it too; it speaks only when spoken to, and is told nothing before the handshake is done. For the rest the transport
is one of asyncio's: when either side has said its end (close_notify), the connection is over for both.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from services.shared.net.stacked_transport import Upper

RECORD = 16 << 10
"""A TLS record holds so much plaintext at most (RFC 8446 section 5.1)."""
LINGER = 30.0
"""Seconds that a peer gets to read the end and to hang up; as long as asyncio gives it."""
_PIECE = 128 << 10
"""Larger messages leave the common buffer in pieces: it never shrinks."""
_ACME_ALPN = b"\x0aacme-tls/1"
"""The protocol name with its length, as in the hello of an authority that validates (RFC 7301 section 3.1)."""
_PLAIN_HTTP = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 32\r\n"
    b"connection: close\r\n\r\nthis port speaks https, not http"
)

Data = bytes | bytearray | memoryview


def ignore(_connection: TlsConnection, _reason: str) -> None:
    """Nobody wants to know of peers that fail."""


Challenge = Callable[[], ssl.SSLContext | None]
"""The context that answers an open TLS-ALPN-01 challenge (RFC 8737), or None where there is none."""
OnFailed = Callable[["TlsConnection", str], None]


def bare_context() -> ssl.SSLContext:
    """A server's context: TLS 1.2 and newer, no client certificates, no ALPN, no tickets; without a certificate yet.

    Clients that resume sessions are browsers, which come seldom; the clients of the control protocol and of relays
    never do, and each ticket would cost a copy of the session and its encryption.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.num_tickets = 0
    return context


def server_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """The same with a certificate.

    Raises:
        OSError: the files are no certificate and its key.
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
    """A factory of protocols made one that has TLS in between, for one event loop."""
    shared = Terminator(context, on_failed, challenge)
    return lambda *positional, **named: TlsConnection(shared, make(*positional, **named))


class Terminator:
    """What the connections of one listener share. Of one event loop: its buffers are empty between two steps."""

    __slots__ = ("challenge", "context", "incoming", "on_failed", "outgoing", "plaintext")

    def __init__(
        self, context: ssl.SSLContext, on_failed: OnFailed = ignore, challenge: Challenge | None = None
    ) -> None:
        """`on_failed` hears of peers that break the rules of TLS, with OpenSSL's name for how."""
        self.context = context
        self.on_failed = on_failed
        self.challenge = challenge
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.plaintext = memoryview(bytearray(RECORD))

    def context_for(self, hello: bytes) -> ssl.SSLContext:
        """The context for a connection that begins with these bytes: the client's hello, or its start."""
        other = self.challenge() if self.challenge is not None and _ACME_ALPN in hello else None
        return self.context if other is None else other


class TlsConnection(asyncio.Protocol, Upper):
    """One connection: to the socket's transport a protocol, to the protocol a transport."""

    __slots__ = ("_failure", "_linger", "_ready", "_shared", "_tls")

    def __init__(self, shared: Terminator, protocol: asyncio.Protocol) -> None:
        super().__init__(protocol)
        self._shared = shared
        self._tls: ssl.SSLObject | None = None
        self._ready = False
        self._failure: Exception | None = None
        self._linger: asyncio.TimerHandle | None = None

    # What the socket says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was accepted: the handshake is the peer's to begin."""
        self._socket = transport  # type: ignore[assignment]  # uvloop's has all methods and is no subclass
        if self._protocol is not None:
            self._protocol.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: decrypt all of them, say what TLS itself has to say, then hand the plaintext on at once."""
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
        """Append what the bytes complete; whether the peer has said its end."""
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
        """The peer says no more: in TLS that is the end of both directions."""
        if self._ready and not self._closing and self._protocol is not None:
            self._protocol.eof_received()  # type: ignore[attr-defined]
        self.close()
        if self._socket is not None:
            self._socket.close()  # there is nothing more to await

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._closing = True
        self._socket = self._tls = None
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc or self._failure)

    def pause_writing(self) -> None:
        """The socket is full."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """The socket takes more."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    # What the protocol says

    def write(self, data: Data) -> None:
        """Encrypt and send; after the end nothing is sent.

        Raises:
            RuntimeError: the handshake is not done, so the protocol speaks without having been spoken to.
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
        """Send several pieces as if they were one."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Say the end after what was written, and hang up when the peer has, or has had its time to."""
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
            over = False  # the usual one is SSLWantReadError: the peer has not said its end
        self._shared.incoming.read()
        self._flush()
        if self._socket is None:
            return
        if over:
            self._socket.close()
        else:
            self._await_end(self._socket)

    def abort(self) -> None:
        """Cut the connection; what was written and not sent is lost."""
        self._closing = True
        if self._socket is not None:
            self._socket.abort()

    def _fail(self, error: ssl.SSLError) -> None:
        """The peer broke the rules: OpenSSL has told it so."""
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
        """Read over what comes, so that nothing that is under way to the peer is lost by a reset.

        The socket's own end is not said before the peer's: asyncio's clients lose what they have not read by then.
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
        """What asyncio's TLS transport says, and what the socket's says."""
        if name == "sslcontext":
            return self._shared.context
        if name == "ssl_object":
            return self._tls if self._tls is not None else default
        if name in ("peercert", "cipher") and self._tls is not None:
            return self._tls.getpeercert() if name == "peercert" else self._tls.cipher()
        return super().get_extra_info(name, default)
