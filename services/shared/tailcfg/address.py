"""Parses addresses, prefixes and endpoints from text strictly, and returns each in its one canonical spelling."""

from __future__ import annotations

import ipaddress
import re

from services.shared.tailcfg.errors import ClientRequestError

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}\Z", re.ASCII)
_BITS = re.compile(r"0|[1-9]\d{0,2}\Z", re.ASCII)
_PORT = re.compile(r"\d{1,5}\Z", re.ASCII)


def parse_address(text: str) -> str:
    """Parse an IPv4 or IPv6 address without a zone; return its shortest spelling.

    Raises:
        ClientRequestError: the text is not valid.
    """
    if "%" in text or len(text) > 64:
        raise ClientRequestError("not an IP address")
    if _IPV4.match(text):
        return text  # there is only one spelling
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ClientRequestError("not an IP address") from None


def parse_prefix(text: str) -> str:
    """Parse a CIDR prefix and clear its host bits. Dotted masks and bare addresses are refused.

    Raises:
        ClientRequestError: the text is not valid.

    >>> parse_prefix("10.1.2.3/8")
    '10.0.0.0/8'
    """
    address, slash, bits = text.partition("/")
    if not slash or not _BITS.match(bits):
        raise ClientRequestError("not a CIDR prefix")
    try:
        return str(ipaddress.ip_network(f"{parse_address(address)}/{bits}", strict=False))
    except ValueError:
        raise ClientRequestError("not a CIDR prefix") from None


def parse_endpoint(text: str) -> str:
    """Parse `ip:port` or `[ip6]:port`; return its shortest spelling, without a zone, which no peer could use.

    Raises:
        ClientRequestError: the text is not valid.

    >>> parse_endpoint("[FE80::1%eth0]:41641")
    '[fe80::1]:41641'
    """
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.match(port) or int(port) > 65535:
        raise ClientRequestError("not an ip:port")
    bracketed = host.startswith("[") and host.endswith("]")
    address = parse_address(host[1:-1].partition("%")[0] if bracketed else host)
    if bracketed is not (":" in address):
        raise ClientRequestError("not an ip:port")
    return f"[{address}]:{int(port)}" if bracketed else f"{address}:{int(port)}"
