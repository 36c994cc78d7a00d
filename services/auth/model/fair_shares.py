"""Selects the pending entry that a new one displaces, so that no network can exhaust a shared table. Pure.

A full table displaces from the largest group, never from one as small as the newcomer's. Groups are
nested: addresses below their subnets below the ranges allotted to a provider, so that changing address within a range
gains nothing.

    IPv4   /16 > /24 > address          IPv6   /32 > /48 > /64

Hosts of one address cannot be distinguished, since keys cost nothing. There the least advanced entry is displaced, of
equals the middle one by age: a flood displaces its own entries, neither earlier ones nor, at once, those that come
during it.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

Path = tuple[str, ...]
"""A group within its larger groups, the largest first."""

_PREFIXES = {4: (16, 24), 6: (32, 48)}


class Progress(IntEnum):
    """The progress of an entry; more advanced entries stay longer."""

    DECIDED = 0
    """A person has approved or refused it."""
    WAITING = 1
    SIGN_IN_STARTED = 2
    SIGN_IN_VERIFIED = 3
    """The provider has confirmed an account, which an attacker without one cannot achieve."""


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """A pending entry of one group."""

    key: str
    progress: Progress


def network_path(network: str) -> Path:
    """Return the groups of a network named by `services.shared.rate.network_of`; other text is its own group."""
    try:
        found = ipaddress.ip_network(network)
    except ValueError:
        return (network, network, network)
    outer = (str(found.supernet(new_prefix=length)) for length in _PREFIXES[found.version] if length < found.prefixlen)
    return (*outer, network)


def losing_group(held: Mapping[Path, int], newcomer: Path) -> Path | None:
    """Return the group that loses an entry to a newcomer, by the sizes of groups; None if the newcomer is refused.

    All paths have the same length.
    """
    chosen: Path = ()
    for depth in range(1, len(newcomer) + 1):
        sizes: Counter[Path] = Counter()
        for path, number in held.items():
            if path[: depth - 1] == chosen:
                sizes[path[:depth]] += number
        if newcomer[: depth - 1] == chosen:
            sizes[newcomer[:depth]] += 1
        most = max(sizes.values())
        own = newcomer[:depth]
        chosen = own if sizes.get(own) == most else min(path for path, number in sizes.items() if number == most)
    return chosen if held.get(chosen, 0) else None


def least_advanced(entries: Sequence[PendingEntry]) -> str:
    """Return the key of the entry that a group loses; `entries` are sorted from the oldest to the newest.

    Raises:
        ValueError: there are no entries.
    """
    progress = min(entry.progress for entry in entries)
    equals = [entry.key for entry in entries if entry.progress is progress]
    return equals[0] if progress is Progress.DECIDED else equals[len(equals) // 2]
