"""One operation of /api/v2 as data, and one request to it: what every noun's module needs, and no HTTP routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.chain import Chain
from gateway.admin.context import CallContext
from gateway.admin.refusal import invalid
from gateway.admin.rest.serving import read_raw
from services.shared.config.tailnet import DnsConfig
from services.shared.scopes import READ


@dataclass(frozen=True, slots=True)
class ConfiguredTailnet:
    """Properties of the tailnet that the configuration sets, as answers show them."""

    name: str
    """The domain of its MagicDNS names, or `default`."""
    dns: DnsConfig

    def knows(self, name: str) -> bool:
        """Return whether a path names this tailnet."""
        return name in ("-", "default", self.name)


@dataclass(slots=True)
class Question:
    """One request to an operation."""

    chain: Chain
    call: CallContext
    tailnet: ConfiguredTailnet
    request: Request

    @property
    def path(self) -> Mapping[str, str]:
        """The parameters in the path."""
        return self.request.path_params

    async def ask(self, method: str, message: Message) -> Any:
        """Make the call of this full name through the chain.

        Raises:
            Refused: it cannot be made as requested.
        """
        return await self.chain.call(self.call, method, message)

    async def body(self) -> Mapping[str, object]:
        """Read the members of a JSON body, whatever its media type; an empty body has none.

        Raises:
            Refused: it is too large, or not a JSON object.
        """
        raw = await read_raw(self.request)
        if not raw.strip():
            return {}
        try:
            found = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise invalid("body", "not JSON") from None
        if not isinstance(found, dict):
            raise invalid("body", "not a JSON object")
        return found


Handler: TypeAlias = "Callable[[Question], Awaitable[Response]]"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    verb: str
    path: str
    """Below /api/v2, with {parameters}; `{tailnet}` is checked before the handler runs."""
    summary: str
    tag: str
    handler: Handler
    scope: str | tuple[str, ...]
    """The scope that a credential needs, such as `devices:core:read`; of several, one."""
    query: tuple[str, ...] = ()
    body: Mapping[str, str] = field(default_factory=dict)
    """Members that its body must have, with their JSON types."""
    optional: Mapping[str, str] = field(default_factory=dict)
    """Members that its body may have, with their JSON types."""
    answer: str = "Nothing"
    """Name of the shape of its answer, in `shapes`."""
    request: str = ""
    """Name of the shape of its body, in `shapes`, where members do not describe it; empty: they do."""
    checked_inside: bool = False
    """The calls that it makes check the credential's scope themselves, by what the request is about."""

    @property
    def changes(self) -> bool:
        """Return whether it may change something: no reading scope is enough."""
        return any(not scope.endswith(READ) for scope in self.scopes)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes of which a credential needs one."""
        return (self.scope,) if isinstance(self.scope, str) else self.scope


def answered(body: object, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(orjson.dumps(body), 200, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def text_member(body: Mapping[str, object], name: str) -> str:
    """Return a required text of a body.

    Raises:
        Refused: it is missing, or not a text.
    """
    value = body.get(name)
    if not isinstance(value, str):
        raise invalid(name, "missing, or not a text")
    return value


def flag_member(body: Mapping[str, object], name: str) -> bool:
    """Return a required truth value of a body.

    Raises:
        Refused: it is missing, or not true or false.
    """
    value = body.get(name)
    if not isinstance(value, bool):
        raise invalid(name, "missing, or not true or false")
    return value


def texts_member(body: Mapping[str, object], name: str) -> list[str]:
    """Return a list of texts of a body; null is the empty list.

    Raises:
        Refused: it is not a list of texts.
    """
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise invalid(name, "not a list of texts")
    return list(value)


def required_texts(body: Mapping[str, object], name: str) -> list[str]:
    """Return a list of texts that a body must have; null is the empty list.

    Raises:
        Refused: it is missing, or not a list of texts.
    """
    if name not in body:
        raise invalid(name, "missing")
    return texts_member(body, name)


def object_member(body: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return an object of a body; null and absent are the empty one.

    Raises:
        Refused: it is not an object.
    """
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(name, "not an object")
    return value


def optional_flag(body: Mapping[str, object], name: str) -> bool | None:
    """Return a truth value of a body; None: it is null or absent.

    Raises:
        Refused: it is not true or false.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(name, "not true or false")
    return value


def optional_text(body: Mapping[str, object], name: str) -> str | None:
    """Return a text of a body; None: it is null or absent.

    Raises:
        Refused: it is not a text.
    """
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(name, "not a text")
    return value
