"""Parses protocols and ports of rules. Refusals have the hosted service's wording."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

PortRange = tuple[int, int]
ALL_PORTS: tuple[PortRange, ...] = ((0, 65535),)

PROTOCOLS = {
    "icmp": 1,
    "igmp": 2,
    "ipv4": 4,
    "ip-in-ip": 4,
    "tcp": 6,
    "egp": 8,
    "igp": 9,
    "udp": 17,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "sctp": 132,
    "fc": 133,
}
WITH_PORTS = frozenset({6, 17, 132})
DEFAULT_PROTOCOLS = (6, 17, 1, 58)
"""Protocols that the client allows if a rule names none."""

_DIGITS = re.compile(r"[0-9]{1,12}")
_MAX_RANGES = 1000


def parse_ports(text: str) -> tuple[PortRange, ...]:
    """Read ``*``, or a list of ports and ranges. Raises `ValueError` with the whole message."""
    if text == "*":
        return ALL_PORTS
    parts = text.split(",")
    if len(parts) > _MAX_RANGES:
        raise ValueError(f"more than {_MAX_RANGES} port ranges")
    try:
        return tuple(_range(part.strip()) for part in parts)
    except ValueError as error:
        raise ValueError(f'port range "{text}": {error}') from None


def _range(text: str) -> PortRange:
    first_text, dash, last_text = text.partition("-")
    if not _DIGITS.fullmatch(first_text):
        raise ValueError("invalid first integer")
    first = int(first_text)
    if first > 65535:
        raise ValueError("port number out of range")
    if not dash:
        if first == 0:
            raise ValueError("first port must be >0, or use '*' for wildcard")
        return first, first
    if not _DIGITS.fullmatch(last_text):
        raise ValueError("invalid port range format")
    last = int(last_text)
    if last > 65535:
        raise ValueError("port number out of range")
    if first > last:
        raise ValueError("invalid port range: first port is greater than last port")
    return first, last


def parse_protocol(text: str) -> int:
    """Read a protocol name or number. Raises `ValueError`."""
    name = text.strip().lower()
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    if name == "*":
        raise ValueError('proto name "*" not known; use protocol number 0-255 or protocol name (icmp, tcp, udp, etc.)')
    if not _DIGITS.fullmatch(name):
        raise ValueError(
            f'invalid protocol number: "{text}" must be a known protocol name or valid protocol number 0-255'
        )
    if name[0] == "0":
        raise ValueError(f'leading 0 not permitted in protocol number: "{text}"')
    number = int(name)
    if number > 255:
        raise ValueError(f"protocol number out of range (0-255): {number}")
    return number


def check_ports(protocol: int, name: str, ports: tuple[PortRange, ...]) -> None:
    """Check that only TCP, UDP and SCTP are given ports. Raises `ValueError` otherwise."""
    if protocol not in WITH_PORTS and ports != ALL_PORTS:
        raise ValueError(f'protocol does not support specific ports: "{name}", only "*" is allowed')


def split_destination(text: str) -> tuple[str, str]:
    """Cut ``HOST:PORTS`` at the last colon; square brackets may stand around an IPv6 address. Raises `ValueError`."""
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        try:
            IPv6Address(inside)
        except ValueError:
            bracket = ""
        if not bracket or "%" in inside:
            raise ValueError(f'square brackets are only valid around IPv6 addresses: "{text}"')
        length, colon, ports = rest.partition(":")
        if not colon:
            raise ValueError("hostport must contain a colon")
        if length and not length.startswith("/"):
            raise ValueError(f'square brackets are only valid around IPv6 addresses: "{text}"')
        return inside + length, ports
    host, colon, ports = text.rpartition(":")
    if not colon:
        raise ValueError("hostport must contain a colon")
    if not host:
        raise ValueError("input cannot start with a colon character")
    if not ports:
        raise ValueError("input cannot end with a colon character")
    return host, ports
