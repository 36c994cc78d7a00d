"""DNS names and name servers in the form that clients can use. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\Z", re.ASCII)
_MAX_NAME = 253
_IP = ipaddress.IPv4Address | ipaddress.IPv6Address


def domain_name(text: str) -> str:
    """Return a DNS name in lower case and A-labels, without a dot at either end.

    Clients compare names byte by byte with queries in lower case (`dnsname.FQDN` in their source).

    Raises:
        ValueError: it is no name that clients can use; the text is the reason.
    """
    plain = text.strip().strip(".")
    if not plain.isascii():
        plain = _a_labels(plain)
    plain = plain.lower()
    if not plain:
        raise ValueError("is empty")
    if "*" in plain:
        raise ValueError("has a wildcard, which clients do not resolve")
    if len(plain) > _MAX_NAME:
        raise ValueError(f"is longer than {_MAX_NAME} characters")
    if not all(map(_LABEL.match, plain.split("."))):
        raise ValueError("is not a domain name")
    return plain


def host_name(text: str) -> str:
    """Return a DNS name as `domain_name` does, or an IP address.

    Raises:
        ValueError: it is neither.
    """
    address = _address(text.strip())
    return str(address) if address is not None else domain_name(text)


def name_server(text: str) -> str:
    """Return a name server as clients take it: an address, an address with a port, or the URL of DNS over HTTPS.

    Raises:
        ValueError: clients cannot use it; the text is the reason.
    """
    plain = text.strip()
    if plain.lower().startswith("https://"):
        if not _has_host(plain):
            raise ValueError("is no https:// URL with a host")
        return plain
    scheme, mark, _ = plain.partition("://")
    if mark:
        raise ValueError(f"is a {scheme.lower()}:// address, which clients do not support")
    address = _address(plain) or _address_with_port(plain)
    if address is None:
        raise ValueError("is neither an IP address nor an https:// URL")
    if address.is_unspecified or address.is_multicast:
        raise ValueError("is an address that nothing answers at")
    return plain


def _a_labels(text: str) -> str:
    import idna  # late: its tables cost memory, and most names are ASCII

    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError:
        raise ValueError("is not a domain name") from None


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _address(text: str) -> _IP | None:
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _address_with_port(text: str) -> _IP | None:
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or not 1 <= int(port[:6]) <= 65535:
        return None
    if host.startswith("[") and host.endswith("]"):
        return _address(host[1:-1])
    return _address(host) if ":" not in host else None
