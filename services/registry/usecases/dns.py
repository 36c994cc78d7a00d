"""Changes of the DNS configuration by administrators: checked as clients can use it, stored, sent as a change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from services.registry.model.errors import InvalidInputError, PreconditionError
from services.registry.model.state import State
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.shared.config.tailnet import DnsConfig
from services.shared.documents.names import domain_name, name_server
from services.shared.tailnet_settings import DNS_PARTS, DnsParts, Resolver, Resolvers, effective_dns
from services.shared.telemetry import get_logger

log = get_logger(__name__)

MAX_RESOLVERS = 64
"""Name servers of one list, and search domains."""
MAX_DOMAINS = 512
"""Domains with name servers of their own: each client is sent all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsChange:
    """The parts to store; None: as they are."""

    nameservers: Sequence[Resolver] | None = None
    split: Sequence[tuple[str, Sequence[Resolver]]] | None = None
    split_domains: Sequence[tuple[str, Sequence[Resolver]]] = ()
    """Domains to replace; one without name servers is removed."""
    search_paths: Sequence[str] | None = None
    magic_dns: bool | None = None
    override_local_dns: bool | None = None
    reset: Collection[str] = ()
    """Parts that return to the configuration's, before anything is stored."""


@dataclass(frozen=True, slots=True)
class DnsInForce:
    """The configuration in force, and the names of its parts that administrators stored."""

    parts: DnsParts = field(default_factory=DnsParts)
    stored: tuple[str, ...] = ()


class DnsSettings:
    """Use cases of the DNS configuration."""

    def __init__(self, ledger: Ledger, config: DnsConfig) -> None:
        self._ledger = ledger
        self._config = config

    async def get(self) -> DnsInForce:
        """Return the configuration in force."""
        return await self._ledger.read(self._in_force)

    async def change(self, change: DnsChange) -> DnsInForce:
        """Store parts of the configuration.

        Raises:
            InvalidInputError: clients cannot use a value, or there are too many.
            PreconditionError: nodes have no domain, so that clients cannot answer their names.
        """
        unknown = sorted(set(change.reset) - set(DNS_PARTS))
        if unknown:
            raise InvalidInputError(f"reset: there is no part {unknown[0][:40]!r}, only {', '.join(DNS_PARTS)}")
        if change.magic_dns and not self._config.base_domain:
            raise PreconditionError("magic_dns: nodes have no domain: set dns.base_domain in the configuration")
        given = self._checked(change)

        async def work(draft: Draft) -> DnsInForce:
            before = draft.state.settings
            stored = msgspec.structs.replace(before.dns, **dict.fromkeys(change.reset), **given)
            if change.split_domains:
                split = effective_dns(self._config, stored).split
                stored = msgspec.structs.replace(stored, split=_merged(split, change.split_domains))
            if draft.put_settings(msgspec.structs.replace(before, dns=stored)):
                draft.after_commit.append(lambda: log.info("dns configuration changed", stored=stored.parts))
            return self._in_force(draft.state)

        return await self._ledger.commit(work)

    def _in_force(self, state: State) -> DnsInForce:
        stored = state.settings.dns
        return DnsInForce(effective_dns(self._config, stored), stored.parts)

    def _checked(self, change: DnsChange) -> dict[str, object]:
        """Return the given parts as they are stored."""
        given: dict[str, object] = {"magic_dns": change.magic_dns, "override_local_dns": change.override_local_dns}
        if change.nameservers is not None:
            given["nameservers"] = _resolvers("nameservers", change.nameservers)
        if change.split is not None:
            given["split"] = _merged({}, change.split)
        if change.search_paths is not None:
            given["search_paths"] = _texts("search_paths", change.search_paths, domain_name)
        return {name: value for name, value in given.items() if value is not None}


def _merged(split: Mapping[str, Resolvers], domains: Sequence[tuple[str, Sequence[Resolver]]]) -> dict[str, Resolvers]:
    found = dict(split)
    for written, servers in domains:
        domain = _read("split", written, domain_name)
        if servers:
            found[domain] = _resolvers(f"split.{domain}", servers)
        else:
            found.pop(domain, None)
    if len(found) > MAX_DOMAINS:
        raise InvalidInputError(f"split: more than {MAX_DOMAINS} domains")
    return dict(sorted(found.items()))


def _resolvers(where: str, servers: Sequence[Resolver]) -> Resolvers:
    addresses = _texts(where, [server.address for server in servers], name_server)
    exits = {name_server(server.address) for server in servers if server.use_with_exit_node}
    return tuple(Resolver(address, address in exits) for address in addresses)


def _texts(where: str, texts: Sequence[str], read: Callable[[str], str]) -> tuple[str, ...]:
    """Return the texts as clients can use them, each once."""
    if len(texts) > MAX_RESOLVERS:
        raise InvalidInputError(f"{where}: more than {MAX_RESOLVERS} entries")
    return tuple(dict.fromkeys(_read(where, text, read) for text in texts))


def _read(where: str, text: str, read: Callable[[str], str]) -> str:
    try:
        return read(text)
    except ValueError as error:
        raise InvalidInputError(f'{where}: "{text[:80]}" {error}') from None
