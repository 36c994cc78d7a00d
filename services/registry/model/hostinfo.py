"""Reads the fields of a client's hostinfo that the registry acts on. Cleaning is done by `services.shared.tailcfg`."""

from __future__ import annotations

from dataclasses import dataclass

from services.registry.model.errors import InvalidInputError
from services.registry.model.route import read_routes
from services.registry.model.tag import read_tags
from services.shared.tailcfg.errors import BadRequestError
from services.shared.tailcfg.hostinfo import Hostinfo as CleanHostinfo
from services.shared.tailcfg.hostinfo import keep_net_info, load_hostinfo
from services.shared.tailcfg.hostinfo import read_hostinfo as clean_hostinfo
from services.shared.tailcfg.untrusted import decode_object

MAX_BYTES = 256 << 10
"""Larger than any real one by far; the largest seen have long lists of services and routes."""


@dataclass(frozen=True, slots=True)
class Hostinfo:
    """The cleaned JSON, and what the registry reads from it."""

    json: bytes = b"{}"
    hostname: str = ""
    routes: tuple[str, ...] = ()
    requested_tags: tuple[str, ...] = ()
    home_derp: int = 0
    has_net_info: bool = False


def read_hostinfo(data: bytes) -> Hostinfo:
    """Clean and read what a client sent; nothing counts as an empty object.

    Raises:
        InvalidInputError: it is too large, no JSON object, or a field has a wrong type or form.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInputError(f"hostinfo is larger than {MAX_BYTES} bytes")
    try:
        return _of(clean_hostinfo(decode_object(data) if data else None))
    except BadRequestError as error:
        raise InvalidInputError(f"hostinfo: {error}") from None


def keep_netinfo(new: Hostinfo, old_json: bytes) -> Hostinfo:
    """The new hostinfo with the old NetInfo where the client left it out: it sends that only when it changed."""
    if new.has_net_info:
        return new
    old = load_hostinfo(old_json)
    return _of(keep_net_info(load_hostinfo(new.json), old)) if old.has_net_info else new


def _of(clean: CleanHostinfo) -> Hostinfo:
    return Hostinfo(
        json=clean.json,
        hostname=clean.hostname,
        routes=read_routes(clean.routable_ips),
        requested_tags=read_tags(clean.request_tags),
        home_derp=clean.home_derp,
        has_net_info=clean.has_net_info,
    )
