"""Derives a DNS label from the hostname that a device reports, by the client's own rules (`util/dnsname`)."""

from __future__ import annotations

import re

MAX_LABEL = 63
MAX_NAME = 254
"""Maximum bytes of an FQDN with its trailing dot that clients accept."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z", re.ASCII)
_SUFFIXES = (".local", ".localdomain", ".lan")
_SEPARATORS = frozenset(b" .@_")
_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
_ALNUM = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def sanitize_hostname(raw: str) -> str:
    """Return the DNS label for a raw hostname; empty if no character of it is usable.

    >>> sanitize_hostname("Alice's MacBook.local")
    'alices-macbook'
    """
    for suffix in _SUFFIXES:
        raw = raw.removesuffix(suffix)
    return sanitize_label(raw)


def sanitize_label(raw: str) -> str:
    """Return the DNS label for any text; empty if no character of it is usable."""
    data = raw.encode("utf-8", "replace")[:MAX_LABEL]
    start, end = 0, len(data)
    while start < end and data[start] not in _ALNUM:
        start += 1
    while end > start and data[end - 1] not in _ALNUM:
        end -= 1
    label = bytearray()
    for byte in data[start:end]:
        lower = byte | 0x20 if 0x41 <= byte <= 0x5A else byte
        if byte in _SEPARATORS:
            label.append(0x2D)
        elif lower in _KEPT:
            label.append(lower)
    return label.decode("ascii")


def is_label(text: str) -> bool:
    """Return whether the text is one lower-case DNS label."""
    return _LABEL.match(text) is not None


def with_suffix(label: str, number: int) -> str:
    """Append `-number` to a label, cut so that the result fits into one label.

    >>> with_suffix("laptop", 1)
    'laptop-1'
    """
    suffix = f"-{number}"
    return label[: MAX_LABEL - len(suffix)].rstrip("-") + suffix


def fqdn(label: str, base_domain: str) -> str:
    """Return the FQDN with its trailing dot; without a base domain only the label and the dot.

    >>> fqdn("laptop", "tail.example.net"), fqdn("laptop", "")
    ('laptop.tail.example.net.', 'laptop.')
    """
    base = base_domain.strip(".")
    return f"{label}.{base}." if base else f"{label}."
