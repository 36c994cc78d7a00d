"""The context of one administration call: its arrival, its caller, and its conditions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeVar

import grpc.aio
from opentelemetry import trace

from services.shared.rpc.caller import Caller

Request = TypeVar("Request")
Response = TypeVar("Response")

DEADLINE = 10.0
"""Seconds that one question to a service gets, unless the call asks for more."""
LIST_DEADLINE = 120.0
"""Seconds that a stream of the whole tailnet gets."""
ALL = "all"
"""The scope of administrators: every call."""


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
    span: trace.Span = trace.INVALID_SPAN
    if_match: tuple[str, ...] = ()
    """The entity tags of which one must be in force, or `*`; empty: no condition."""
    etag: str = ""
    """Entity tag of the document that the answer holds, set by calls that have one."""

    async def ask(
        self, method: grpc.aio.UnaryUnaryMultiCallable[Request, Response], request: Request, timeout: float = DEADLINE
    ) -> Response:
        """Call a service for this caller: within `timeout` seconds, with the caller in the metadata.

        Raises:
            grpc.aio.AioRpcError: the service refused or did not answer.
        """
        return await method(request, timeout=timeout, metadata=self.caller.metadata)

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
