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

    Clients speak TLS to relays, whatever the scheme of `server_url` is; so without https, under another name or in a
    process of its own the relay has its own listener.
    """
    server, url = config.derp.server, urlsplit(config.server_url)
    if server.listen_addr or server.http_listen_addr:
        return RelayPlace(server.listen_addr, server.http_listen_addr, 0)
    if together and url.scheme == "https" and server.hostname in ("", (url.hostname or "").lower()):
        return RelayPlace("", "", url.port or 443)
    return RelayPlace(OWN_LISTENER, "", 0)
