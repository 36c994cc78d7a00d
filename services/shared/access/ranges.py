"""Sets of addresses as sorted integer ranges: IPv4 and, far above it, IPv6 on one number line. Set operations.

A span is a pair (first, last), both inside. A set of addresses is a sorted tuple of spans that neither
touch nor overlap.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range

Span = tuple[int, int]
Spans = tuple[Span, ...]

_V6 = 1 << 40
"""First number of IPv6; the gap below it separates ranges of the two families."""

ALL_V4: Span = (0, (1 << 32) - 1)
ALL_V6: Span = (_V6, _V6 + (1 << 128) - 1)
EVERYTHING: Spans = (ALL_V4, ALL_V6)


@lru_cache(maxsize=1 << 17)
def point(address: str) -> int:
    """Return the number of an address. Raises `ValueError` if the text is not an address."""
    parsed = ip_address(address)
    return int(parsed) if parsed.version == 4 else int(parsed) + _V6


@lru_cache(maxsize=1 << 17)
def show_point(place: int) -> str:
    """Return the address with a number, as text."""
    return str(IPv4Address(place)) if place < _V6 else str(IPv6Address(place - _V6))


@lru_cache(maxsize=1 << 14)
def span(text: str) -> Span:
    """Read an address, a CIDR (host bits are masked) or ``first-last``. Raises `ValueError` for anything else."""
    first, dash, last = text.partition("-")
    if dash:
        ends = point(first), point(last)
        if ends[0] > ends[1] or (ends[0] < _V6) != (ends[1] < _V6):
            raise ValueError("range ends are not in order")
        return ends
    if "/" not in text:
        place = point(text)
        return place, place
    network = ip_network(text, strict=False)
    base = 0 if network.version == 4 else _V6
    return int(network.network_address) + base, int(network.broadcast_address) + base


def coalesce(spans: Iterable[Span]) -> Spans:
    """Return the union of the spans as a set."""
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def subtract(spans: Spans, removed: Spans) -> Spans:
    """Return the first set without the second."""
    kept: list[Span] = []
    place = 0
    for first, last in spans:
        start = first
        while place < len(removed) and removed[place][1] < start:
            place += 1
        index = place
        while index < len(removed) and removed[index][0] <= last:
            gap_first, gap_last = removed[index]
            if gap_first > start:
                kept.append((start, gap_first - 1))
            start = gap_last + 1
            index += 1
        if start <= last:
            kept.append((start, last))
    return tuple(kept)


def overlaps(spans: Spans, other: Span) -> bool:
    """Return whether a set and a span have an address in common."""
    index = bisect_right(spans, (other[1], 1 << 200)) - 1
    return index >= 0 and spans[index][1] >= other[0]


def overlap(spans: Spans, others: Spans) -> bool:
    """Return whether two sets have an address in common."""
    if len(others) > len(spans):
        spans, others = others, spans
    return any(overlaps(spans, other) for other in others)


def contains(spans: Spans, place: int) -> bool:
    """Return whether an address is in the set."""
    return overlaps(spans, (place, place))


def covers(spans: Spans, others: Iterable[Span]) -> bool:
    """Return whether the first set contains every address of the others."""
    for first, last in others:
        index = bisect_right(spans, (first, 1 << 200)) - 1
        if index < 0 or spans[index][1] < last:
            return False
    return True


@lru_cache(maxsize=1 << 16)
def cidrs(text_span: Span) -> tuple[str, ...]:
    """Return the fewest CIDRs that make up a span; single addresses have their full length."""
    first, last = text_span
    if first == last:
        return (f"{show_point(first)}/{32 if first < _V6 else 128}",)
    if first < _V6:
        return tuple(str(network) for network in summarize_address_range(IPv4Address(first), IPv4Address(last)))
    ends = IPv6Address(first - _V6), IPv6Address(last - _V6)
    return tuple(str(network) for network in summarize_address_range(*ends))


def show(one: Span) -> str:
    """Return a span as packet filters spell it: a bare address, a CIDR if it is exactly one, else ``first-last``."""
    if one[0] == one[1]:
        return show_point(one[0])
    size = one[1] - one[0] + 1
    if size & (size - 1) == 0 and (one[0] & (size - 1) == 0 if one[0] < _V6 else (one[0] - _V6) & (size - 1) == 0):
        return cidrs(one)[0]
    return f"{show_point(one[0])}-{show_point(one[1])}"


def full_length(address: str) -> str:
    """Return an address as a prefix of its full length."""
    return f"{address}/{128 if ':' in address else 32}"


CGNAT = coalesce([span("100.64.0.0-100.115.91.255"), span("100.115.94.0-100.127.255.255")])
"""Tailnet IPv4: 100.64.0.0/10 without the range that ChromeOS gives to its virtual machines."""

ULA = span("fd7a:115c:a1e0::/48")
"""Tailnet IPv6."""

INTERNET_TEXT = (
    "0.0.0.0-9.255.255.255",
    "11.0.0.0-100.63.255.255",
    "100.128.0.0-169.253.255.255",
    "169.255.0.0-172.15.255.255",
    "172.32.0.0-192.167.255.255",
    "192.169.0.0-255.255.255.255",
    "2000::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
)
"""`autogroup:internet` as the hosted service spells it."""

INTERNET = coalesce(span(text) for text in INTERNET_TEXT)
"""The public internet; some private and reserved ranges are left out, multicast and loopback are not."""

EXIT_ROUTES = ("0.0.0.0/0", "::/0")
