"""Addresses, prefixes and endpoints as text: strict reading, one spelling out."""

from __future__ import annotations

import ipaddress
import re

from services.shared.tailcfg.errors import BadRequestError

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}\Z", re.ASCII)
_BITS = re.compile(r"0|[1-9]\d{0,2}\Z", re.ASCII)
_PORT = re.compile(r"\d{1,5}\Z", re.ASCII)


def parse_address(text: str) -> str:
    """One IPv4 or IPv6 address without a zone, in its shortest spelling.

    Raises:
        BadRequestError: it is none.
    """
    if "%" in text or len(text) > 64:
        raise BadRequestError("not an IP address")
    if _IPV4.match(text):
        return text  # there is only one spelling
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise BadRequestError("not an IP address") from None


def parse_prefix(text: str) -> str:
    """One CIDR prefix with its host bits cleared. A mask in dotted form or an address alone is refused.

    Raises:
        BadRequestError: it is none.
    """
    address, slash, bits = text.partition("/")
    if not slash or not _BITS.match(bits):
        raise BadRequestError("not a CIDR prefix")
    try:
        return str(ipaddress.ip_network(f"{parse_address(address)}/{bits}", strict=False))
    except ValueError:
        raise BadRequestError("not a CIDR prefix") from None


def parse_endpoint(text: str) -> str:
    """One `ip:port` or `[ip6]:port`, in its shortest spelling; a zone is dropped, as no peer could use it.

    Raises:
        BadRequestError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.match(port) or int(port) > 65535:
        raise BadRequestError("not an ip:port")
    bracketed = host.startswith("[") and host.endswith("]")
    address = parse_address(host[1:-1].partition("%")[0] if bracketed else host)
    if bracketed is not (":" in address):
        raise BadRequestError("not an ip:port")
    return f"[{address}]:{int(port)}" if bracketed else f"{address}:{int(port)}"
