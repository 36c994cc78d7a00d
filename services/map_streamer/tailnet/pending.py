"""Facts that wait for the next fold. Bounded: records are whole, so only the newest fact about each subject is kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from services.map_streamer.snapshot import (
    Cursor,
    DnsRecordsPut,
    Fact,
    NodeDue,
    NodePut,
    NodeRemoved,
    PolicyPut,
    RegionsPut,
    RelayPut,
    RelayRemoved,
    SettingsPut,
    UserPut,
    UserRemoved,
)

_Key = tuple[str, int | str]


def _about(fact: Fact) -> _Key:
    match fact:
        case NodePut(node):
            return "node", node.id
        case NodeRemoved(node_id) | NodeDue(node_id):
            return "node", node_id
        case UserPut(user):
            return "user", user.id
        case UserRemoved(user_id):
            return "user", user_id
        case RelayPut(relay):
            return "relay", relay.name
        case RelayRemoved(name):
            return "relay", name
        case PolicyPut():
            return "policy", 0
        case RegionsPut() | DnsRecordsPut() | SettingsPut():
            return type(fact).__name__, 0
        case _:
            assert_never(fact)


class Pending:
    """The facts received since the last fold."""

    def __init__(self) -> None:
        self._facts: dict[_Key, Fact] = {}
        self.cursor: Cursor | None = None
        """The cursor after these facts; None when there are none."""
        self.traces: list[str] = []

    def add(self, facts: Iterable[Fact], cursor: Cursor, traceparent: str = "") -> None:
        """Add facts in log order."""
        for fact in facts:
            key = _about(fact)
            if isinstance(fact, NodeDue) and key in self._facts:
                continue
            self._facts.pop(key, None)
            self._facts[key] = fact
        self.cursor = cursor
        if traceparent and len(self.traces) < 64:
            self.traces.append(traceparent)

    @property
    def facts(self) -> list[Fact]:
        """The facts to fold. A user or policy may follow its nodes; the order does not matter to the fold."""
        return list(self._facts.values())

    @property
    def touched(self) -> frozenset[int]:
        """The nodes that any fact names."""
        return frozenset(int(name) for kind, name in self._facts if kind == "node")

    @property
    def opaque(self) -> bool:
        """True if a user or the policy changed."""
        return any(kind in ("user", "policy") for kind, _ in self._facts)
