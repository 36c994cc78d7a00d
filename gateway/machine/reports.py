"""Digests of the last report of each node, to recognise repeated reports. Knows no JSON and calls no service.

Clients repeat reports of the same endpoints and hostinfo. A report equal to the last one that the
registry took over the same tunnel is answered without a call. The tunnel is part of the comparison because a client
that comes back may have sent another gateway something newer in the meantime.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from services.shared.keys import MachineKey, NodeKey

DEFAULT_CAPACITY = 1 << 17


@dataclass(frozen=True, slots=True)
class Report:
    """One report, as compared with the next."""

    tunnel_id: int
    digest: bytes
    order: int


def digest_of(body: bytes) -> bytes:
    """Return the digest by which two request bodies are compared."""
    return hashlib.blake2b(body, digest_size=16).digest()


class LastReports:
    """The last report of each node that the registry accepted, least recently used first."""

    __slots__ = ("_capacity", "_reports")

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._reports: OrderedDict[tuple[MachineKey, NodeKey], Report] = OrderedDict()

    def __len__(self) -> int:
        return len(self._reports)

    def is_repeat(self, machine: MachineKey, node: NodeKey, tunnel_id: int, digest: bytes) -> bool:
        """Return whether the last accepted report of this node was the same and came over the same tunnel."""
        last = self._reports.get((machine, node))
        return last is not None and last.tunnel_id == tunnel_id and last.digest == digest

    def accepted(self, machine: MachineKey, node: NodeKey, report: Report) -> None:
        """Store the digest of a report that the registry accepted; an earlier report never replaces a later one."""
        last = self._reports.get((machine, node))
        if last is not None and last.order > report.order:
            return
        self._reports[machine, node] = report
        self._reports.move_to_end((machine, node))
        if len(self._reports) > self._capacity:
            self._reports.popitem(last=False)

    def forget(self, machine: MachineKey, node: NodeKey) -> None:
        """Drop the last report of a node that was removed, registered again, or has another report in flight."""
        self._reports.pop((machine, node), None)
