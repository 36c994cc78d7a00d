"""Values as clients can use them: names in lower case and A-labels, prefixes without host bits, usable DNS only.

What no client can use is left out with a note, because Headscale starts with it as well.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from services.shared.config.errors import Found
from services.shared.config.model import Config, DnsConfig, ExtraRecord
from services.shared.documents.dns_records import check_record
from services.shared.documents.names import domain_name, name_server

_NAMED_PORTS = {"http": "80", "https": "443"}


def usable(config: Config) -> tuple[Config, list[Found]]:
    """Return the configuration as clients are sent it, and what was changed or left out on the way."""
    notes: list[Found] = []
    config = replace(
        config,
        server_url=_url(config.server_url),
        listen_addr=_listen(config.listen_addr),
        metrics_listen_addr=_listen(config.metrics_listen_addr),
        grpc_listen_addr=_listen(config.grpc_listen_addr),
        tls_letsencrypt_listen=_listen(config.tls_letsencrypt_listen),
        tls_letsencrypt_hostname=_name(config.tls_letsencrypt_hostname),
        prefixes=replace(
            config.prefixes,
            v4=_prefix("prefixes.v4", config.prefixes.v4, notes),
            v6=_prefix("prefixes.v6", config.prefixes.v6, notes),
        ),
        dns=_dns(config.dns, notes),
    )
    server = config.derp.server
    server = replace(
        server,
        hostname=_name(server.hostname),
        listen_addr=_listen(server.listen_addr),
        http_listen_addr=_listen(server.http_listen_addr),
        stun_listen_addr=_listen(server.stun_listen_addr),
    )
    urls = _valid_texts("derp.urls", config.derp.urls, _address, notes)
    return replace(config, derp=replace(config.derp, server=server, urls=urls)), notes


def _address(text: str) -> str:
    """Return the address of a DERP map.

    Raises:
        ValueError: it is none that can be fetched.
    """
    found = urlsplit(text.strip())
    if found.scheme.lower() not in ("http", "https") or not found.hostname:
        raise ValueError("is not an http:// or https:// URL (files belong in derp.paths)")
    return text.strip()


def _dns(dns: DnsConfig, notes: list[Found]) -> DnsConfig:
    servers = _valid_texts("dns.nameservers.global", dns.nameservers.global_, name_server, notes)
    override = dns.override_local_dns
    if dns.nameservers.global_ and not servers and override is not False:
        override = False
        what = "has no name server that clients can use"
        notes.append(("dns.nameservers.global", what, "clients keep the ones that they have"))
    return replace(
        dns,
        base_domain=_name(dns.base_domain),
        override_local_dns=override,
        nameservers=replace(dns.nameservers, global_=servers, split=_split(dns, notes)),
        search_domains=_valid_texts("dns.search_domains", dns.search_domains, domain_name, notes),
        extra_records=tuple(_records(dns.extra_records, notes)),
    )


def _split(dns: DnsConfig, notes: list[Found]) -> dict[str, tuple[str, ...]]:
    out: dict[str, tuple[str, ...]] = {}
    key = "dns.nameservers.split"
    for written, addresses in dns.nameservers.split.items():
        try:
            name = domain_name(written)
        except ValueError as error:
            notes.append((key, f'has the domain "{written[:80]}", which {error}', "it is left out"))
            continue
        servers = _valid_texts(f"{key}.{written}", addresses, name_server, notes, place=key)
        if servers or not addresses:
            out[name] = tuple(dict.fromkeys((*out.get(name, ()), *servers)))
    return out


def _records(records: Iterable[ExtraRecord], notes: list[Found]) -> Iterable[ExtraRecord]:
    for number, record in enumerate(records, 1):
        try:
            name, kind, value = check_record(record.name, record.type, record.value)
        except ValueError as error:
            what = f'has a record {number} ("{record.name[:80]}") that {error}'
            notes.append(("dns.extra_records", what, "it is left out"))
            continue
        yield ExtraRecord(name=name, type=kind, value=value)


def _valid_texts(
    key: str, texts: Iterable[str], check: Callable[[str], str], notes: list[Found], *, place: str = ""
) -> tuple[str, ...]:
    """Return the texts that pass a check, each once; a note for each other one."""
    out: dict[str, None] = {}
    for text in texts:
        try:
            out[check(text)] = None
        except ValueError as error:
            above = f"{key.removeprefix(place + '.')}: " if place else ""
            notes.append((place or key, f'has {above}"{text[:80]}", which {error}', "it is left out"))
    return tuple(out)


def _prefix(key: str, text: str, notes: list[Found]) -> str:
    """Return the network of a prefix, whatever its host bits are."""
    try:
        network = str(ipaddress.ip_network(text, strict=False)) if text else ""
    except ValueError:
        return text  # refused by the checks that follow
    if text and ipaddress.ip_network(network) != _exact(text):
        notes.append((key, f"is {text}, which has host bits", f"{network} is used"))
    return network


def _exact(text: str) -> object:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _name(text: str) -> str:
    """Return a host name in lower case and A-labels; what is none stays, for the checks that follow."""
    try:
        return domain_name(text)
    except ValueError:
        return text.strip(".").lower()


def _url(url: str) -> str:
    """Return a URL with its host in lower case and A-labels."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return url
    return url if host.isascii() else url.replace(urlsplit(url).netloc.rpartition(":")[0] or host, _name(host), 1)


def _listen(address: str) -> str:
    """`host:port` with a number, as in `:80` for `:http`."""
    host, colon, port = address.rpartition(":")
    return f"{host}:{_NAMED_PORTS[port.lower()]}" if colon and port.lower() in _NAMED_PORTS else address
