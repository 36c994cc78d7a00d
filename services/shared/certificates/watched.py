"""The certificate of a listener, from files that are read again when they change. A bad replacement changes nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc

from services.shared.background import Background
from services.shared.certificates.pairs import Leaf, PairError, check_pair
from services.shared.config import Config
from services.shared.net.tls import bare_context
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

POLL = 15.0
"""Seconds between checks of the files."""


class WatchedPair:
    """A certificate chain and its key; both may be in one file."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the pair.

        Raises:
            PairError: it cannot be used.
        """
        self._paths = certificate, key
        self._stamp = self._stamp_now()
        self.leaf: Leaf = check_pair(certificate, key)
        self.context: ssl.SSLContext = bare_context()
        """For TLS listeners; connections that begin after a change are given the new certificate."""
        self.context.load_cert_chain(certificate, key)
        self._pem = key.read_bytes(), certificate.read_bytes()
        self._serial = 0

    def refresh(self) -> bool:
        """Take changed files into use. Returns whether there were any that could be."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        certificate, key = self._paths
        try:
            # OpenSSL drops the old key as soon as another certificate is loaded, so what is loaded must be right.
            self.leaf = check_pair(certificate, key)
            pem = key.read_bytes(), certificate.read_bytes()
            self.context.load_cert_chain(certificate, key)
        except (PairError, OSError, ssl.SSLError) as error:
            remedy = getattr(error, "remedy", "")
            log.error("replaced certificate cannot be used, keeping the old one", reason=str(error), remedy=remedy)
            return False
        self._pem = pem
        self._serial += 1
        log.info("certificate replaced", path=str(certificate), valid_until=self.leaf.not_after.isoformat())
        return True

    def credentials(self) -> grpc.ServerCredentials:
        """For gRPC listeners: each handshake is given the newest certificate."""
        given = [self._serial]

        def newest() -> grpc.ServerCertificateConfiguration | None:
            if given[0] == self._serial:
                return None
            given[0] = self._serial
            return self._configuration()

        # None means unchanged, which the stubs do not know.
        fetch = cast(Callable[[], grpc.ServerCertificateConfiguration], newest)
        return grpc.dynamic_ssl_server_credentials(self._configuration(), fetch)

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        return grpc.ssl_server_certificate_configuration([self._pem])

    def _stamp_now(self) -> object:
        try:
            stats = [path.stat() for path in self._paths]
        except OSError as error:
            return error.errno
        return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)


class Watcher:
    """Refreshes pairs now and then, and when the process is asked to reload."""

    def __init__(self, refresh: Callable[[], object], telemetry: Telemetry | None = None) -> None:
        self._refresh = refresh
        self._background = Background(telemetry or Telemetry())

    def start(self) -> None:
        """Begin to watch."""
        self._background.keep(self._watch, "certificate files")

    async def stop(self) -> None:
        """Watch no longer."""
        await self._background.stop()

    async def prepare(self, config: Config) -> Callable[[], None]:
        """As a part of a reload: the files are read again, whatever else has changed."""

        def commit() -> None:
            self._refresh()

        return commit

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            self._refresh()
