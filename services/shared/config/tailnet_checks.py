"""Contradictions between keys that describe the tailnet: errors and warnings. Each value alone is valid."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from services.shared.config.completing import DEFAULT_DOMAIN, DEFAULT_V4, DEFAULT_V6
from services.shared.config.errors import Found
from services.shared.config.model import Config

_SHORTEST_EPHEMERAL = timedelta(seconds=65)
_DOMAIN = re.compile(r"(?=.{1,251}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_VERSION = re.compile(r"\d{1,4}\.\d{1,4}(\.\d{1,4})?\Z")
_SYSTEMS = ("default", "android", "freebsd", "ios", "linux", "macos", "openbsd", "tvos", "windows")
"""Operating systems as clients name them, in lower case, and the entry for all others."""
_LONGEST_CONTACT = 120
_HEX64 = re.compile(r"[0-9a-fA-F]{64}\Z")


def tailnet_errors(config: Config) -> Iterator[Found]:
    """Yield the errors that prevent a start."""
    for part in (_prefixes, _dns, _derp, _lifetimes, _messages):
        yield from part(config)


def tailnet_warnings(config: Config) -> Iterator[Found]:
    """Yield the warnings."""
    for key, text, whole in (
        ("prefixes.v4", config.prefixes.v4, DEFAULT_V4),
        ("prefixes.v6", config.prefixes.v6, DEFAULT_V6),
    ):
        inner, outer = (ipaddress.ip_network(text) if text else None), ipaddress.ip_network(whole)
        if inner is not None and not inner.subnet_of(outer):  # type: ignore[arg-type]
            yield key, f"is outside of {whole}", "clients treat only that range as the tailnet's"
    host = (urlsplit(config.server_url).hostname or "").lower()
    if config.dns.base_domain and host.endswith("." + config.dns.base_domain):
        yield (
            "dns.base_domain",
            "contains the server's own name",
            "nodes resolve names below it by MagicDNS; the server's name is served there too, other names are not",
        )


def _prefixes(config: Config) -> Iterator[Found]:
    for key, text, version in (("prefixes.v4", config.prefixes.v4, 4), ("prefixes.v6", config.prefixes.v6, 6)):
        if not text:
            continue
        try:
            good = ipaddress.ip_network(text, strict=False).version == version
        except ValueError:
            good = False
        if not good:
            yield key, f"is not an IPv{version} prefix", f"write {DEFAULT_V4 if version == 4 else DEFAULT_V6}"
    if not config.prefixes.v4 and not config.prefixes.v6:
        yield "prefixes", "contains neither v4 nor v6", f"write prefixes.v4: {DEFAULT_V4}"


def _dns(config: Config) -> Iterator[Found]:
    dns = config.dns
    if dns.base_domain and not _DOMAIN.match(dns.base_domain):
        yield "dns.base_domain", "is not a domain name", f"write a name as in {DEFAULT_DOMAIN}"
    if dns.magic_dns and not dns.base_domain:
        yield "dns.base_domain", "is empty while dns.magic_dns is on", f"write a name as in {DEFAULT_DOMAIN}"
    if dns.base_domain and dns.base_domain == (urlsplit(config.server_url).hostname or "").lower():
        yield "dns.base_domain", "is the server's own name", "choose another domain for the nodes"
    if dns.override_local_dns and not dns.nameservers.global_:
        yield (
            "dns.override_local_dns",
            "is on without dns.nameservers.global",
            "add a nameserver there, or write dns.override_local_dns: false",
        )
    if dns.extra_records and dns.extra_records_path is not None:
        yield "dns.extra_records_path", "is set together with dns.extra_records", "keep one of them"


def _derp(config: Config) -> Iterator[Found]:
    server = config.derp.server
    if not server.enabled and not config.derp.urls and not config.derp.paths:
        yield "derp", "configures no relay that clients can use", "write derp.server.enabled: true"
    if not server.enabled:
        return
    if not server.stun_listen_addr:
        yield "derp.server.stun_listen_addr", "is empty while the relay is on", "write 0.0.0.0:3478"
    if server.mesh_key and not _HEX64.match(server.mesh_key):
        yield "derp.server.mesh_key", "is not 64 hex digits", "make one with `openssl rand -hex 32`"
    if server.mesh_with and not server.mesh_key:
        yield "derp.server.mesh_with", "needs derp.server.mesh_key", "set the same key on every relay of the region"
    for key, text, version in (("ipv4", server.ipv4, 4), ("ipv6", server.ipv6, 6)):
        try:
            good = not text or ipaddress.ip_address(text).version == version
        except ValueError:
            good = False
        if not good:
            yield (
                f"derp.server.{key}",
                f"is not an IPv{version} address",
                "write the relay's public address, or nothing",
            )


def _lifetimes(config: Config) -> Iterator[Found]:
    if config.node.ephemeral.inactivity_timeout <= _SHORTEST_EPHEMERAL:
        yield (
            "node.ephemeral.inactivity_timeout",
            "is not above 65s, and clients report only once a minute",
            "write 30m",
        )
    ha = config.node.routes.ha
    # A file of Headscale may set the timeout alone, which is valid there with its interval of 10s.
    if not timedelta(0) < ha.probe_timeout < max(ha.probe_interval, timedelta(seconds=10)):
        yield "node.routes.ha.probe_timeout", "is not between 0 and node.routes.ha.probe_interval", "write 3s"


def _messages(config: Config) -> Iterator[Found]:
    messages = config.messages
    if len(messages.contact) > _LONGEST_CONTACT or not messages.contact.isprintable():
        yield (
            "messages.contact",
            f"is not one line of at most {_LONGEST_CONTACT} characters",
            "write an address or a name",
        )
    for system, version in messages.oldest_clients.items():
        key = f"messages.oldest_clients.{system}"
        if not _VERSION.match(version):
            yield key, f"is not a version: {version[:32]!r}", 'write two or three numbers in quotes, as in "1.86.2"'
        if system not in _SYSTEMS:
            yield key, "names no operating system of clients", f"write one of {', '.join(_SYSTEMS)}"
