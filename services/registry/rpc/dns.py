"""Converts the DNS configuration and changes of it between messages and values."""

from __future__ import annotations

from collections.abc import Iterable

from smartscale.types.v1 import dns_pb2 as types

from services.registry.usecases.dns import DnsChange, DnsInForce
from services.shared.tailnet_settings import Resolver, Resolvers


def to_proto(found: DnsInForce) -> types.DnsConfiguration:
    """Return the configuration in force as a message."""
    parts = found.parts
    return types.DnsConfiguration(
        nameservers=_to_protos(parts.nameservers),
        split=[
            types.SplitDomain(domain=domain, resolvers=_to_protos(servers))
            for domain, servers in sorted(parts.split.items())
        ],
        search_paths=parts.search_paths,
        magic_dns=parts.magic_dns,
        override_local_dns=parts.override_local_dns,
        stored=found.stored,
    )


def read_change(change: types.DnsChange) -> DnsChange:
    """Return a change as values, unchecked."""
    return DnsChange(
        nameservers=_resolvers(change.nameservers.resolvers) if change.HasField("nameservers") else None,
        split=_domains(change.split.domains) if change.HasField("split") else None,
        split_domains=_domains(change.split_domains),
        search_paths=tuple(change.search_paths.paths) if change.HasField("search_paths") else None,
        magic_dns=change.magic_dns if change.HasField("magic_dns") else None,
        override_local_dns=change.override_local_dns if change.HasField("override_local_dns") else None,
        reset=tuple(change.reset),
    )


def _domains(domains: Iterable[types.SplitDomain]) -> list[tuple[str, Resolvers]]:
    return [(one.domain, _resolvers(one.resolvers)) for one in domains]


def _resolvers(servers: Iterable[types.Resolver]) -> Resolvers:
    return tuple(Resolver(server.address, server.use_with_exit_node) for server in servers)


def _to_protos(servers: Resolvers) -> list[types.Resolver]:
    return [types.Resolver(address=server.address, use_with_exit_node=server.use_with_exit_node) for server in servers]
