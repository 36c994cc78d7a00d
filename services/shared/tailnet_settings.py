"""Settings of a tailnet that administrators store, and how those of DNS replace the configuration's. Does no I/O.

A part that is stored wins over the configuration as a whole; a part that is None, or was reset, is the configuration's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from services.shared.config.tailnet import DnsConfig


class Resolver(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name server as clients are sent it."""

    address: str
    """An IP address, one with a port, or the URL of DNS over HTTPS."""
    use_with_exit_node: bool = False
    """Clients ask it even while they use an exit node."""


Resolvers = tuple[Resolver, ...]

MAX_KEY_DURATION_DAYS = 180
"""Maximum of `TailnetSettings.key_duration_days`, the hosted service's."""
CONTACTS = ("account", "support", "security")
"""The types of contacts."""


class StoredDns(msgspec.Struct, frozen=True, omit_defaults=True):
    """The parts of DNS that administrators stored; None: the configuration's part is used."""

    nameservers: Resolvers | None = None
    split: dict[str, Resolvers] | None = None
    """Name servers of single domains."""
    search_paths: tuple[str, ...] | None = None
    magic_dns: bool | None = None
    override_local_dns: bool | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the names of the parts that are stored."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name) is not None)


DNS_PARTS: tuple[str, ...] = StoredDns.__struct_fields__


class TailnetSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that administrators stored for one tailnet. It travels and is stored as JSON."""

    dns: StoredDns = StoredDns()
    key_duration_days: int | None = None
    """Days after which the key of a node that joins expires; None: as configured."""
    auto_updates: bool | None = None
    """Whether nodes update their client by default; None: as configured."""
    acls_externally_managed: bool = False
    acls_external_link: str = ""
    contacts: dict[str, str] = {}
    """E-mail addresses by type, one of `CONTACTS`."""

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> TailnetSettings:
        """Read what `to_bytes` wrote; nothing is the empty settings.

        Raises:
            ValueError: it is something else.
        """
        return msgspec.json.decode(data, type=TailnetSettings) if data else TailnetSettings()


@dataclass(frozen=True, slots=True)
class DnsParts:
    """The parts of the DNS configuration that administrators may replace."""

    nameservers: Resolvers = ()
    split: Mapping[str, Resolvers] = field(default_factory=dict)
    search_paths: tuple[str, ...] = ()
    magic_dns: bool = True
    override_local_dns: bool = False
    """Clients use the name servers for every name, instead of their own."""


def resolvers(addresses: Iterable[str]) -> Resolvers:
    """Return name servers without options."""
    return tuple(map(Resolver, addresses))


def effective_dns(config: DnsConfig, stored: StoredDns) -> DnsParts:
    """Return the parts in force. Without a word about it, name servers override those of clients if there are any."""
    servers = resolvers(config.nameservers.global_) if stored.nameservers is None else stored.nameservers
    split: Mapping[str, Resolvers] = (
        {domain: resolvers(addresses) for domain, addresses in config.nameservers.split.items()}
        if stored.split is None
        else stored.split
    )
    override = config.override_local_dns if stored.override_local_dns is None else stored.override_local_dns
    if stored.nameservers is not None and stored.override_local_dns is None and not config.nameservers.global_:
        override = None  # the configuration has none that it could speak of
    return DnsParts(
        nameservers=servers,
        split=split,
        search_paths=config.search_domains if stored.search_paths is None else stored.search_paths,
        magic_dns=config.magic_dns if stored.magic_dns is None else stored.magic_dns,
        override_local_dns=bool(servers) if override is None else override,
    )
