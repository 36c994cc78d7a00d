"""Checks of Host and Origin for listeners that authorize by network address only. Pure.

A web page on a name whose DNS answer changes to 127.0.0.1 (DNS rebinding) makes a browser on this machine read such a
listener. The browser then sends the page's own name as Host, so only names that no stranger can own are answered.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

_PRIVATE_SUFFIXES = (
    ".localhost",
    ".local",
    ".internal",
    ".lan",
    ".localdomain",
    ".home.arpa",
    ".intranet",
    ".svc",
    ".cluster.local",
)
"""Suffixes that public DNS does not delegate (RFC 6761, 6762, 8375, ICANN's .internal) and Kubernetes' own."""


def is_own_host(host: str, names: Collection[str] = ()) -> bool:
    """Return whether a Host header names this machine: an address, an unqualified or private name, one of `names`.

    An empty header is accepted: HTTP/1.0 clients send none, and browsers always send one.
    """
    if not host:
        return True
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    return _is_address(name) or (bool(name) and ("." not in name or name.endswith(_PRIVATE_SUFFIXES) or name in names))


def is_own_request(headers: Mapping[str, str], names: Collection[str] = ()) -> bool:
    """Return whether a request came to this machine by its own name, and from no page of another site.

    Header names are lower-case. A request of a browser carries the site of the page as Origin where it is another
    site's, or where the request may change something.
    """
    host = headers.get("host", "")
    if not is_own_host(host, names):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
