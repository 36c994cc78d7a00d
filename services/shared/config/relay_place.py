"""Where clients reach our relay: on the gateway's listener under `server_url`, or on one of its own. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from services.shared.config.model import Config

OWN_LISTENER = "0.0.0.0:8443"


@dataclass(frozen=True, slots=True)
class RelayPlace:
    """The listeners of a relay; an empty address means none."""

    tls_address: str
    http_address: str
    main_port: int
    """The port of `server_url` where clients are sent there; 0 where they use a listener of the relay."""


def relay_place(config: Config, *, together: bool) -> RelayPlace:
    """Decide by what is configured, and by whether gateway and relay are one process.

    Clients speak TLS to relays, whatever the scheme of `server_url` is; so without https or under another name the
    relay has its own listener, and in a process of its own as well unless gateways pass connections on to it.
    """
    server, url = config.derp.server, urlsplit(config.server_url)
    same_name = url.scheme == "https" and server.hostname in ("", (url.hostname or "").lower())
    main_port = (url.port or 443) if same_name else 0
    if server.listen_addr or server.http_listen_addr:
        forwarded = bool(config.gateway.relay_address)
        return RelayPlace(server.listen_addr, server.http_listen_addr, main_port if forwarded else 0)
    if together and main_port:
        return RelayPlace("", "", main_port)
    return RelayPlace(OWN_LISTENER, "", 0)
