"""Contradictions between keys that configure processes: errors and warnings. Each value alone is valid."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from services.shared.config.errors import Found
from services.shared.config.model import DEFAULT_SOCKET, Config
from services.shared.config.spelling import duration_text


def process_errors(config: Config) -> Iterator[Found]:
    """Yield the errors that prevent a start."""
    for part in (_urls, _addresses, _forwarding, _database, _tls, _limits, _workers, _processes):
        yield from part(config)


def process_warnings(config: Config) -> Iterator[Found]:
    """Yield the warnings."""
    if config.database.type == "postgres" and config.database.postgres.ssl == "disable":
        host = config.database.postgres.host
        if host not in ("localhost", "127.0.0.1", "::1", "") and not host.startswith("/"):
            yield "database.postgres.ssl", "is off for another host", "write require or verify-full"


def _urls(config: Config) -> Iterator[Found]:
    if not config.server_url:
        yield "server_url", "is missing", "write the URL that clients reach, as in https://headscale.example.com"
        return
    try:
        url = urlsplit(config.server_url)
        good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    if not good:
        yield (
            "server_url",
            "is not an http:// or https:// URL with a host",
            "write it as in https://headscale.example.com",
        )
    elif url.query or url.fragment or url.path.strip("/"):
        yield (
            "server_url",
            "has more than scheme, host and port",
            "clients use the root of that host; remove what follows the port",
        )


def _addresses(config: Config) -> Iterator[Found]:
    named: dict[str, str] = {
        "listen_addr": config.listen_addr,
        "metrics_listen_addr": config.metrics_listen_addr,
        "grpc_listen_addr": config.grpc_listen_addr,
        "derp.server.listen_addr": config.derp.server.listen_addr,
        "derp.server.http_listen_addr": config.derp.server.http_listen_addr,
        "derp.server.stun_listen_addr": config.derp.server.stun_listen_addr,
    }
    for key, address in named.items():
        if address and not is_listen_address(address):
            yield key, "is not an address to listen on", f"write {_likely_address(address)}"
    if not config.listen_addr:
        yield "listen_addr", "is empty", "write 0.0.0.0:8080"
    if not config.unix_socket.name:
        yield "unix_socket", "is not the path of a file", f"write {DEFAULT_SOCKET}"
    for proxy in config.trusted_proxies:
        try:
            network = ipaddress.ip_network(proxy, strict=False)
        except ValueError:
            yield "trusted_proxies", f"contains {proxy!r}, which is not an IP address or prefix", "write IP addresses"
            continue
        if network.prefixlen == 0:
            yield "trusted_proxies", "trusts every address", "write the addresses of your proxies only"
    for text in config.metrics_allowed_networks:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield (
                "metrics_allowed_networks",
                f"contains {text!r}, which is not an IP address or prefix",
                "write prefixes, as in 10.0.0.0/8",
            )


def _likely_address(written: str) -> str:
    """Return the address that was most likely meant, or the form of one."""
    host, _, port = written.strip().rpartition(":")
    if written.strip().isdecimal():
        return f":{written.strip()}"
    if port.isdecimal() and ":" in host:
        return f"[{host.strip('[]')}]:{port}"
    return "host:port or :port"


def _is_redis(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme == "unix" or (url.scheme in ("redis", "rediss") and bool(url.hostname) and url.port != 0)
    except ValueError:
        return False


def _forwarding(config: Config) -> Iterator[Found]:
    relay = config.gateway.relay_address
    if not relay:
        return
    if not is_listen_address(relay) or relay.startswith(":") or relay.endswith(":0"):
        yield "gateway.relay_address", "is not an address to connect to", "write host:port, as in derp:8081"
    elif not config.derp.server.http_listen_addr:
        remedy = "write where the relay listens, as in 0.0.0.0:8081"
        yield "derp.server.http_listen_addr", "is empty, and gateway.relay_address passes connections on", remedy


def is_listen_address(address: str) -> bool:
    """Return whether this is `host:port` with a numeric port; the host may be empty."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        return False
    return ":" not in host or (host.startswith("[") and host.endswith("]"))


def _database(config: Config) -> Iterator[Found]:
    if config.database.type == "postgres":
        if not config.database.postgres.name:
            yield "database.postgres.name", "is missing", "write the name of the database"
        if config.database.postgres.ssl not in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"):
            yield "database.postgres.ssl", "is not an sslmode", "write true, false, or an sslmode such as verify-full"


def _tls(config: Config) -> Iterator[Found]:
    for section, pair in (("", config), ("derp.server.", config.derp.server)):
        cert, key = getattr(pair, "tls_cert_path", None), getattr(pair, "tls_key_path", None)
        if (cert is None) is not (key is None):
            one, other = ("tls_key_path", "tls_cert_path") if cert is None else ("tls_cert_path", "tls_key_path")
            yield f"{section}{one}", f"is set without {section}{other}", f"set {section}{other} as well"
    if config.tls_letsencrypt_hostname:
        if config.tls_cert_path is not None:
            yield "tls_letsencrypt_hostname", "is set together with tls_cert_path", "keep one of them"
        tls_alpn = config.tls_letsencrypt_challenge_type == "TLS-ALPN-01"
        if tls_alpn and not config.listen_addr.endswith(":443"):
            yield (
                "tls_letsencrypt_challenge_type",
                "TLS-ALPN-01 needs listen_addr on port 443",
                "use HTTP-01 or port 443",
            )
    tls = config.services.tls
    given = [path is not None for path in (tls.ca_path, tls.cert_path, tls.key_path)]
    if any(given) and not all(given):
        yield "services.tls", "sets only some of ca_path, cert_path and key_path", "set all three or none"


def _limits(config: Config) -> Iterator[Found]:
    gateway = config.gateway
    if gateway.max_answer_body < gateway.max_request_body:
        yield (
            "gateway.max_answer_body",
            "is below gateway.max_request_body",
            f"write {gateway.max_request_body} or more",
        )
    if gateway.idle_timeout < gateway.check_interval:
        yield (
            "gateway.idle_timeout",
            "is below gateway.check_interval",
            f"write {duration_text(gateway.check_interval)} or more",
        )


def _workers(config: Config) -> Iterator[Found]:
    workers = config.gateway.workers
    if workers == 1:
        return
    shared = {
        "listen_addr": config.listen_addr,
        "grpc_listen_addr": config.grpc_listen_addr,
        "services.gateway.listen_addr": config.services.gateway.listen_addr,
    }
    for key, address in shared.items():
        if address.endswith(":0"):
            yield key, "has port 0 while gateway.workers is above 1", "write the port that the workers share"
    _, _, port = config.metrics_listen_addr.rpartition(":")
    if port.isdigit() and int(port) <= 65535 < int(port) + workers - 1:
        yield "metrics_listen_addr", "leaves no port for each of gateway.workers", "write a lower port"


def _processes(config: Config) -> Iterator[Found]:
    if config.bus.url and not _is_redis(config.bus.url):
        yield "bus.url", "is not the URL of a Redis server", "write redis://host:6379/0"
    for name in ("registry", "policy", "auth", "map_streamer", "derp", "gateway"):
        service: Any = getattr(config.services, name)
        if not is_listen_address(service.listen_addr) and not service.listen_addr.startswith("unix:"):
            likely = _likely_address(service.listen_addr)
            yield f"services.{name}.listen_addr", "is not an address to listen on", f"write {likely}"
        for address in service.addresses:
            if not address.startswith("unix:") and not is_listen_address(address):
                yield f"services.{name}.addresses", f"contains {address!r}, which is not host:port", "add the port"
