"""Accepts a client's hostinfo into the registry: bounds its size, checks its routes and tags. Reads no other member."""

from __future__ import annotations

import msgspec

from services.registry.model.errors import InvalidInputError
from services.registry.model.route import read_routes
from services.registry.model.tag import read_tags
from services.shared.tailcfg import hostinfo as tailcfg
from services.shared.tailcfg.errors import ClientRequestError
from services.shared.tailcfg.hostinfo import Hostinfo
from services.shared.tailcfg.untrusted import decode_object

MAX_BYTES = 256 << 10
"""Maximum bytes of a hostinfo, far above any real one; the largest seen have long lists of services and routes."""


def read_hostinfo(data: bytes) -> Hostinfo:
    """Clean a hostinfo for storage; its routes and tags are checked and sorted. Empty bytes are an empty object.

    Raises:
        InvalidInputError: it is too large, no JSON object, or a field has a wrong type or form.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInputError(f"hostinfo is larger than {MAX_BYTES} bytes")
    try:
        clean = tailcfg.read_hostinfo(decode_object(data) if data else None)
    except ClientRequestError as error:
        raise InvalidInputError(f"hostinfo: {error}") from None
    routes, tags = read_routes(clean.routable_ips), read_tags(clean.request_tags)
    return msgspec.structs.replace(clean, routable_ips=routes, request_tags=tags)
