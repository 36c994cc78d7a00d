"""The addresses that the processes of a configuration will listen on, each with its key."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator

from services.shared.config.model import Config
from services.shared.config.relay_place import relay_place
from services.shared.config.server_url_checks import serves_tls


def addresses(
    config: Config, processes: Collection[str], *, together: bool
) -> Iterator[tuple[str, str, socket.SocketKind]]:
    """Each address that the processes will listen on: key, address, TCP or UDP."""
    tcp = socket.SOCK_STREAM
    if "gateway" in processes:
        yield from ((key, address, tcp) for key, address in _gateway_addresses(config))
    if "derp" in processes and (config.derp.server.enabled or not together):
        yield from _relay_addresses(config, together=together)
    if config.metrics_listen_addr:
        yield "metrics_listen_addr", config.metrics_listen_addr, tcp
    for name in () if together else sorted(processes):
        address = getattr(config.services, name).listen_addr
        if not address.startswith("unix:"):
            yield f"services.{name}.listen_addr", address, tcp


def _gateway_addresses(config: Config) -> Iterator[tuple[str, str]]:
    yield "listen_addr", config.listen_addr
    if config.grpc_listen_addr and (serves_tls(config) or config.grpc_allow_insecure):
        yield "grpc_listen_addr", config.grpc_listen_addr
    if config.tls_letsencrypt_hostname and config.tls_letsencrypt_challenge_type == "HTTP-01":
        yield "tls_letsencrypt_listen", config.tls_letsencrypt_listen


def _relay_addresses(config: Config, *, together: bool) -> Iterator[tuple[str, str, socket.SocketKind]]:
    place, server = relay_place(config, together=together), config.derp.server
    for key, address in (("listen_addr", place.tls_address), ("http_listen_addr", place.http_address)):
        if address:
            yield f"derp.server.{key}", address, socket.SOCK_STREAM
    if server.stun.enabled and server.stun_listen_addr:
        yield "derp.server.stun_listen_addr", server.stun_listen_addr, socket.SOCK_DGRAM
