"""The changes of a tailnet, from the change logs. Records are whole, so a later fact replaces an earlier."""

from __future__ import annotations

from dataclasses import dataclass

from services.map_streamer.snapshot.records import NodeRecord, RelayRecord, UserRecord
from services.shared.access.compiled import CompiledPolicy


@dataclass(frozen=True, slots=True)
class NodePut:
    """A node is now so."""

    node: NodeRecord


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """A node is gone."""

    node_id: int


@dataclass(frozen=True, slots=True)
class KeyEnded:
    """A node's key has expired; the only fact that is in no log."""

    node_id: int


@dataclass(frozen=True, slots=True)
class UserPut:
    """A user is now so."""

    user: UserRecord


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """A user is gone."""

    user_id: int


@dataclass(frozen=True, slots=True)
class RelayPut:
    """A relay is now so."""

    relay: RelayRecord


@dataclass(frozen=True, slots=True)
class RelayRemoved:
    """A relay is gone."""

    name: str


@dataclass(frozen=True, slots=True)
class PolicyPut:
    """Another compiled policy is in force."""

    policy: CompiledPolicy


@dataclass(frozen=True, slots=True)
class RegionsPut:
    """The DERP regions that files and addresses of the configuration name are now so; JSON object by id."""

    regions: bytes


@dataclass(frozen=True, slots=True)
class DnsRecordsPut:
    """The extra DNS records of the watched file and of our own names are now so: name, type and address of each."""

    records: tuple[tuple[str, str, str], ...]


Fact = (
    NodePut
    | NodeRemoved
    | KeyEnded
    | UserPut
    | UserRemoved
    | RelayPut
    | RelayRemoved
    | PolicyPut
    | RegionsPut
    | DnsRecordsPut
)
