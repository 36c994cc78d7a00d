"""Who makes the administration call that is being answered, to be kept with what the call changes. Never a secret."""

from __future__ import annotations

from contextvars import ContextVar

from google.protobuf.message import Message
from grpc.aio import ServicerContext

UNIX = "unix socket"

_current: ContextVar[str] = ContextVar("author", default="")


def current() -> str:
    """The author; empty when not known."""
    return _current.get()


def note_key(prefix: str) -> None:
    """The call came with this API key, which was proven."""
    _current.set(f"api key {prefix}")


def note_peer(context: ServicerContext[Message, Message]) -> None:
    """A call over the unix socket has no key: whoever may open the socket is trusted."""
    if str(context.peer()).startswith("unix:"):
        _current.set(UNIX)
