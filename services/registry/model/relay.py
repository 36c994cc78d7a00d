"""The record of a DERP relay, as it announces itself, and the check that clients can use it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from services.registry.model.errors import InvalidInputError
from services.registry.model.user import check_text

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\Z")
_PIN = re.compile(r"sha256-raw:[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """One relay, with the fields that clients need to use it."""

    region_id: int
    region_code: str
    region_name: str
    name: str
    host_name: str
    cert_name: str = ""
    ipv4: str = ""
    ipv6: str = ""
    derp_port: int = 443
    stun_port: int = 3478


def check_relay(relay: Relay) -> Relay:
    """Return the relay if it fits into a DERP map.

    Raises:
        InvalidInputError: a field cannot be put into a DERP map.
    """
    if not 1 <= relay.region_id < 1 << 31:
        raise InvalidInputError("region_id is 1 to 2147483647")
    if not _NAME.match(relay.name):
        raise InvalidInputError("the name of a relay has letters, digits, '.', '_' and '-'")
    if not _NAME.match(relay.region_code):
        raise InvalidInputError("region_code has letters, digits, '.', '_' and '-'")
    check_text("region_name", relay.region_name)
    host = relay.host_name
    if not (_HOST.match(host) or _is_ip(IPv4Address, host) or _is_ip(IPv6Address, host)):
        raise InvalidInputError("host_name is a DNS name or an IP address")
    if relay.cert_name and not _PIN.match(relay.cert_name) and not _HOST.match(relay.cert_name):
        raise InvalidInputError("cert_name is empty, a DNS name or sha256-raw: with 64 hex digits")
    if relay.ipv4 not in {"", "none"} and not _is_ip(IPv4Address, relay.ipv4):
        raise InvalidInputError("ipv4 is empty, 'none' or an IPv4 address")
    if relay.ipv6 not in {"", "none"} and not _is_ip(IPv6Address, relay.ipv6):
        raise InvalidInputError("ipv6 is empty, 'none' or an IPv6 address")
    if not 1 <= relay.derp_port <= 65535:
        raise InvalidInputError("derp_port is 1 to 65535")
    if not -1 <= relay.stun_port <= 65535:
        raise InvalidInputError("stun_port is -1 to 65535")
    return relay


def _is_ip(kind: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except AddressValueError:
        return False
    return "%" not in text
