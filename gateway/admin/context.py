"""The context of one administration call: its arrival, its caller, and its conditions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import grpc
import grpc.aio
from opentelemetry import trace

from gateway.admin.refusal import Refused
from services.shared.rpc.caller import Caller
from services.shared.scopes import ALL, grants

Request = TypeVar("Request")
Response = TypeVar("Response")

DEADLINE = 10.0
"""Seconds that one question to a service gets, unless the call asks for more."""
LIST_DEADLINE = 120.0
"""Seconds that a stream of the whole tailnet gets."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as its wire received it, before anything of it is believed."""

    wire: str
    """Short name of the wire: `grpc`, `rest/v1`."""
    address: str = ""
    """Network address of the client; empty on the unix socket."""
    authorization: str | None = field(default=None, repr=False)
    """The credential as the wire carries it; None: none was sent."""
    trusted: bool = False
    """True if the file mode of the unix socket stands for the credential."""
    system_user: str = ""
    """Operating system user on the other end of the unix socket; empty: not known."""
    traceparent: str = ""
    """The caller's trace, as W3C `traceparent`; empty: none."""


@dataclass(slots=True)
class CallContext:
    """The caller and the conditions of one call. Made by the chain, read by the calls, `etag` set by them."""

    caller: Caller
    scopes: frozenset[str]
    """Scopes that this call is checked against: those of the credential, or all inside an operation that was."""
    span: trace.Span = trace.INVALID_SPAN
    granted: frozenset[str] = frozenset()
    """Scopes of the credential; empty: as `scopes`."""
    tags: tuple[str, ...] | None = None
    """Tags of which the credential may give these, and those that they own, alone; None: it may give any."""
    if_match: tuple[str, ...] = ()
    """The entity tags of which one must be in force, or `*`; empty: no condition."""
    etag: str = ""
    """Entity tag of the document that the answer holds, set by calls that have one."""

    def __post_init__(self) -> None:
        self.granted = self.granted or self.scopes

    def require(self, *scopes: str) -> None:
        """Check that the credential has one of these scopes; none: every credential may.

        Raises:
            Refused: it has none of them.
        """
        _require(self.granted, scopes)

    def check_call(self, scopes: Sequence[str]) -> None:
        """Check that this call has one of these scopes; none: every credential may.

        Raises:
            Refused: it has none of them.
        """
        _require(self.scopes, scopes)

    def inside_operation(self) -> CallContext:
        """Return the context of the calls that an operation consists of, whose own scope was checked."""
        return replace(self, scopes=frozenset({ALL}), granted=self.granted)

    async def ask(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request, timeout: float = DEADLINE
    ) -> Response:
        """Call a service for this caller: within `timeout` seconds, with the caller in the metadata.

        Raises:
            grpc.aio.AioRpcError: the service refused or cannot be reached.
            Refused: it did not answer in time.
        """
        try:
            return await method(request, timeout=timeout, metadata=self.caller.metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
            text = f"the server did not finish this within {timeout:g} s; a change may have been made all the same"
            raise Refused(grpc.StatusCode.DEADLINE_EXCEEDED, text) from None

    def ask_for_parts(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        timeout: float = LIST_DEADLINE,
    ) -> AsyncIterator[Response]:
        """Call a service that streams its answer, as `ask` does; `timeout` covers the whole stream.

        Raises:
            grpc.aio.AioRpcError: the service refused or did not answer.
        """
        return aiter(method(request, timeout=timeout, metadata=self.caller.metadata))


@dataclass(frozen=True, slots=True)
class ProvenCaller:
    """A proven caller, and what its credential permits."""

    caller: Caller
    scopes: frozenset[str] = frozenset({ALL})
    tags: tuple[str, ...] | None = None
    """As in `CallContext`."""


def _require(held: frozenset[str], scopes: Sequence[str]) -> None:
    if scopes and not any(grants(held, scope) for scope in scopes):
        raise Refused(grpc.StatusCode.PERMISSION_DENIED, f"this credential lacks the scope {' or '.join(scopes)}")
