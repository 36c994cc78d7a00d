"""Reads the UDP endpoints that a client reports: at most `MAX_ENDPOINTS`, each checked."""

from __future__ import annotations

from collections.abc import Sequence

from services.registry.model.errors import InvalidInputError
from services.shared.tailcfg.address import parse_endpoint
from services.shared.tailcfg.errors import ClientRequestError

MAX_ENDPOINTS = 64
"""Maximum number of endpoints stored. Clients send a dozen at most; further ones are dropped, never refused."""
_KINDS = range(6)


def read_endpoints(texts: Sequence[str], types: Sequence[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Read endpoints in the client's order, each once, with their types in parallel (0 if the client sent none).

    Raises:
        InvalidInputError: one is not `ip:port`.
    """
    seen: dict[str, int] = {}
    for number, text in enumerate(texts[:MAX_ENDPOINTS]):
        kind = types[number] if number < len(types) else 0
        try:
            seen.setdefault(parse_endpoint(text), kind if kind in _KINDS else 0)
        except ClientRequestError:
            raise InvalidInputError("an endpoint is ip:port") from None
    return tuple(seen), tuple(seen.values())
