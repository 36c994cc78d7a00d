"""The certificate of the gateway's listeners: from files, or ordered by ACME. Knows no listener."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import grpc

from services.shared.certificates.pairs import PairError
from services.shared.certificates.store import AcmeStore
from services.shared.certificates.watched import WatchedPair, Watcher
from services.shared.config import Config, ConfigError, ConfigProblem
from services.shared.net.tls import bare_context
from services.shared.telemetry.setup import Telemetry

if TYPE_CHECKING:
    from services.shared.certificates.renewal import Renewal

_ALPN = "acme-tls/1"


class ListenerCertificate:
    """One certificate for all TLS listeners, followed while the process runs."""

    def __init__(
        self, pair: WatchedPair, telemetry: Telemetry, store: AcmeStore | None = None, renewal: Renewal | None = None
    ) -> None:
        self.pair = pair
        self.store = store
        """The folder of open challenges; None without ACME."""
        self.watcher = Watcher(pair.refresh, telemetry)
        self._renewal = renewal

    @property
    def context(self) -> ssl.SSLContext:
        """The TLS context of listeners; it serves the newest certificate."""
        return self.pair.context

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials of gRPC listeners; they serve the newest certificate."""
        return self.pair.credentials()

    def challenge(self) -> ssl.SSLContext | None:
        """Return the TLS context that answers an open TLS-ALPN-01 challenge, or None if there is none."""
        if self.store is None or not self.store.alpn.exists():
            return None
        context = bare_context()
        context.set_alpn_protocols([_ALPN])
        try:
            context.load_cert_chain(self.store.alpn)
        except (OSError, ssl.SSLError):  # the challenge was closed meanwhile
            return None
        return context

    def start(self) -> None:
        """Start to watch the files, and to order certificates if that is configured."""
        self.watcher.start()
        if self._renewal is not None:
            self._renewal.start()

    async def stop(self) -> None:
        """Stop to watch and to order."""
        await self.watcher.stop()
        if self._renewal is not None:
            await self._renewal.stop()


def listener_certificate(config: Config, telemetry: Telemetry) -> ListenerCertificate | None:
    """Read the configured certificate. Returns None if the listeners use no TLS.

    Raises:
        ConfigError: it cannot be used, or the ACME folder cannot be written.
    """
    if config.tls_letsencrypt_hostname:
        return _ordered(config, telemetry)
    if config.tls_cert_path is None or config.tls_key_path is None:
        return None
    try:
        return ListenerCertificate(WatchedPair(config.tls_cert_path, config.tls_key_path), telemetry)
    except PairError as error:
        key = f"tls_{error.key}_path"
        place = config.places.get(key, str(config.source or "configuration"))
        raise ConfigError([ConfigProblem(place, key, error.what, error.remedy)]) from None


def _ordered(config: Config, telemetry: Telemetry) -> ListenerCertificate:
    # Imported late: only installations that order certificates need an ACME client and its HTTP library.
    from services.shared.certificates.ordering import Authority, order
    from services.shared.certificates.renewal import Renewal

    store = AcmeStore(config.tls_letsencrypt_cache_dir, config.tls_letsencrypt_hostname)
    key = "tls_letsencrypt_cache_dir"
    try:
        store.prepare(datetime.now(UTC))
        pair = WatchedPair(store.pair, store.pair)
    except (OSError, PairError) as error:
        place = config.places.get(key, str(config.source or "configuration"))
        if isinstance(error, OSError):
            reason, remedy = (error.strerror or str(error)).lower(), f"make {store.folder} writable"
        else:
            reason, remedy = str(error), f"remove {store.pair}; a new certificate is ordered then"
        raise ConfigError([ConfigProblem(place, key, f"{store.folder} cannot be used: {reason}", remedy)]) from None
    authority = Authority(config.acme_url, config.acme_email, config.tls_letsencrypt_challenge_type)
    renewal = Renewal(store, partial(order, authority, store), pair.refresh, telemetry=telemetry)
    return ListenerCertificate(pair, telemetry, store, renewal)
