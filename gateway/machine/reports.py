"""What each node last reported in a lite map request. Owns digests; knows no JSON and asks nobody.

A client repeats itself: the same endpoints and hostinfo, again and again. A report equal to the last one that the
registry took over the same tunnel is answered without a call. The tunnel is part of the comparison because a client
that comes back may have told another gateway something newer in the meantime.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from services.shared.keys import MachineKey, NodeKey

DEFAULT_CAPACITY = 1 << 17


@dataclass(frozen=True, slots=True)
class Report:
    """One report as it is compared."""

    tunnel_id: int
    digest: bytes
    order: int


def digest_of(body: bytes) -> bytes:
    """The digest by which two request bodies are compared."""
    return hashlib.blake2b(body, digest_size=16).digest()


class LastReports:
    """The last report of each node that the registry took, least recently used first."""

    __slots__ = ("_capacity", "_reports")

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._reports: OrderedDict[tuple[MachineKey, NodeKey], Report] = OrderedDict()

    def __len__(self) -> int:
        return len(self._reports)

    def repeats(self, machine: MachineKey, node: NodeKey, tunnel_id: int, digest: bytes) -> bool:
        """Whether the registry's last word from this node, over this tunnel, was the same."""
        last = self._reports.get((machine, node))
        return last is not None and last.tunnel_id == tunnel_id and last.digest == digest

    def taken(self, machine: MachineKey, node: NodeKey, report: Report) -> None:
        """The registry took this report; one that was sent earlier never replaces a later one."""
        last = self._reports.get((machine, node))
        if last is not None and last.order > report.order:
            return
        self._reports[machine, node] = report
        self._reports.move_to_end((machine, node))
        if len(self._reports) > self._capacity:
            self._reports.popitem(last=False)

    def forget(self, machine: MachineKey, node: NodeKey) -> None:
        """Compare nothing with this node's last report: the node was removed, or registered anew."""
        self._reports.pop((machine, node), None)
