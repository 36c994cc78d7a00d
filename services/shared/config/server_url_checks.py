"""Warnings where the URL that clients dial does not match the listeners."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from services.shared.config.errors import Found
from services.shared.config.model import Config

_PORTS = {"http": 80, "https": 443}
_LOCAL_ENDS = (".local", ".localhost", ".internal", ".lan", ".home", ".test", ".home.arpa")


def reach_warnings(config: Config) -> Iterator[Found]:
    """Yield the warnings."""
    for part in (_listener, _scheme, _ordered, _relay):
        yield from part(config)


def _listener(config: Config) -> Iterator[Found]:
    url, port = urlsplit(config.server_url), _port_of(config.server_url)
    host, listens_on = _listen_host(config.listen_addr), int(config.listen_addr.rpartition(":")[2])
    if serves_tls(config) is not (url.scheme == "https"):
        return  # a proxy is in between, or the scheme is wrong, which another check reports
    if is_loopback(host) and not is_loopback(url.hostname or ""):
        what = f"is {config.listen_addr}, which only this machine reaches, and clients dial {config.server_url}"
        yield "listen_addr", what, f"write 0.0.0.0:{port}, unless a proxy on this machine passes clients on"
    elif listens_on not in (port, 0):
        what = f"has port {listens_on}, and clients dial {config.server_url}, which is port {port}"
        yield "listen_addr", what, f"write {host}:{port}, unless something forwards that port"


def _scheme(config: Config) -> Iterator[Found]:
    url, port = urlsplit(config.server_url), _port_of(config.server_url)
    tls = serves_tls(config)
    if url.scheme == "http" and tls:
        yield "server_url", "is http://, and listen_addr answers https only", "write https://"
    elif url.scheme == "http" and is_public(url.hostname or ""):
        what = f"is http:// with a public name ({url.hostname})"
        yield "server_url", what, "pages and API keys can be read on the way; write https://"
    elif url.scheme == "https" and not tls and _is_open_at(config.listen_addr, port):
        what = f"answers plain http on port {port}, which clients dial with https"
        yield "listen_addr", what, "set tls_cert_path and tls_key_path, or tls_letsencrypt_hostname"


def _ordered(config: Config) -> Iterator[Found]:
    ordered, host = config.tls_letsencrypt_hostname, urlsplit(config.server_url).hostname or ""
    if ordered and ordered != host.lower():
        yield "tls_letsencrypt_hostname", f"is {ordered}, and clients dial {host}", "write the name of server_url"


def _relay(config: Config) -> Iterator[Found]:
    server = config.derp.server
    if not server.enabled or is_loopback(server.hostname):
        return
    named = [("stun_listen_addr", server.stun_listen_addr if server.stun.enabled else "")]
    if not server.http_listen_addr:
        named.append(("listen_addr", server.listen_addr))
    for key, address in named:
        if address and is_loopback(_listen_host(address)):
            what = f"is {address}, which only this machine reaches, and clients dial {server.hostname}"
            yield f"derp.server.{key}", what, f"write 0.0.0.0:{address.rpartition(':')[2]}"


def is_loopback(host: str) -> bool:
    """Return whether a name or an address means this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def is_public(host: str) -> bool:
    """Return whether a name or an address may be reached over the internet."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not f".{host.lower()}".endswith(_LOCAL_ENDS)


def serves_tls(config: Config) -> bool:
    """Return whether the gateway's listeners speak TLS."""
    return config.tls_cert_path is not None or bool(config.tls_letsencrypt_hostname)


def _is_open_at(address: str, port: int) -> bool:
    return address.endswith(f":{port}") and not is_loopback(_listen_host(address))


def _port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or _PORTS[parts.scheme]


def _listen_host(address: str) -> str:
    return address.rpartition(":")[0] or "0.0.0.0"  # noqa: S104  a text for people; nothing is bound
