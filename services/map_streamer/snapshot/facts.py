"""Facts: what can change in a tailnet. Each carries the whole record, so a later fact replaces an earlier one."""

from __future__ import annotations

from dataclasses import dataclass

from services.map_streamer.snapshot.records import NodeRecord, RelayRecord, UserRecord
from services.shared.access.compiled import CompiledPolicy
from services.shared.tailnet_settings import TailnetSettings


@dataclass(frozen=True, slots=True)
class NodePut:
    """A node was added or changed; this is its current record."""

    node: NodeRecord


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """A node was deleted."""

    node_id: int


@dataclass(frozen=True, slots=True)
class NodeDue:
    """A node's key has expired, or its expiry is near; the only fact that comes from the clock, not from a log."""

    node_id: int


@dataclass(frozen=True, slots=True)
class UserPut:
    """A user was added or changed; this is the current record."""

    user: UserRecord


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """A user was deleted."""

    user_id: int


@dataclass(frozen=True, slots=True)
class RelayPut:
    """A relay was added or changed; this is its current record."""

    relay: RelayRecord


@dataclass(frozen=True, slots=True)
class RelayRemoved:
    """A relay was removed."""

    name: str


@dataclass(frozen=True, slots=True)
class PolicyPut:
    """A compiled policy came into force."""

    policy: CompiledPolicy


@dataclass(frozen=True, slots=True)
class RegionsPut:
    """The DERP regions from the configured files and URLs changed; a JSON object by region id."""

    regions: bytes


@dataclass(frozen=True, slots=True)
class DnsRecordsPut:
    """The extra DNS records of the watched file and of our own names changed: name, type and address of each."""

    records: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class SettingsPut:
    """Administrators stored other settings; all of them."""

    settings: TailnetSettings


Fact = (
    NodePut
    | NodeRemoved
    | NodeDue
    | UserPut
    | UserRemoved
    | RelayPut
    | RelayRemoved
    | PolicyPut
    | RegionsPut
    | DnsRecordsPut
    | SettingsPut
)
