"""Build the relay from the configuration. The only module that knows the concrete store, bus and sockets in use."""

from __future__ import annotations

import ipaddress
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import grpc.aio
from smartscale.derp.v1 import derp_pb2_grpc
from smartscale.types.v1.relay_pb2 import Relay

from services.derp.certificate import Certificate, CertificateError, configured, load, self_signed, tls_context
from services.derp.client_admission import OpenAdmission, RelayAdmission
from services.derp.handshake import parse_mesh_key
from services.derp.identity import KeyFileError, load_identity
from services.derp.mesh import Mesh, MeshTarget
from services.derp.metrics import RelayCollector
from services.derp.registry_client import Announcer, RegistryAdmission
from services.derp.revocation import Revocation
from services.derp.rpc import DerpServicer
from services.derp.server import DerpServer, ServerSettings
from services.derp.session import RelayKeys
from services.shared.certificates.pairs import PairError, check_pair
from services.shared.certificates.watched import Watcher
from services.shared.config.errors import ConfigError, ConfigProblem
from services.shared.config.model import Config, DerpServerConfig
from services.shared.config.relay_place import relay_place
from services.shared.ids import DEFAULT_TAILNET
from services.shared.runtime.clock import Clock
from services.shared.runtime.process import Deps
from services.shared.telemetry import get_logger

log = get_logger(__name__)


class _SettingError(Exception):
    """A key of `derp.server` has an unusable value."""

    def __init__(self, key: str, what: str, remedy: str) -> None:
        super().__init__(what)
        self.key, self.what, self.remedy = key, what, remedy


class Tls:
    """The TLS certificate in use, reloaded for new connections when its files change on disk."""

    def __init__(
        self, config: DerpServerConfig, directory: Path, hostname: str, identity: RelayKeys, clock: Clock
    ) -> None:
        self._config = config
        self._directory = directory
        self._hostname = hostname
        self._identity = identity
        self._clock = clock
        self._seen = self._stamp()
        self.certificate = self._make()
        self.context: ssl.SSLContext = tls_context(self.certificate)

    def refresh(self) -> None:
        """Reload the certificate if its files changed.

        Raises:
            CertificateError: the new certificate cannot be used; the old one stays in use.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        cert, key = self._config.tls_cert_path, self._config.tls_key_path
        if cert is not None and key is not None:
            try:
                # OpenSSL drops the old key as soon as a certificate is loaded, so check the pair before.
                check_pair(cert, key)
            except PairError as error:
                raise CertificateError(error.what) from error
        fresh = self._make()
        load(self.context, fresh)
        self.certificate = fresh
        log.info("certificate replaced", path=str(cert))

    def follow(self) -> None:
        """Reload the certificate if its files changed, and log an error if it cannot be used."""
        try:
            self.refresh()
        except (CertificateError, OSError) as error:
            log.error("replaced certificate cannot be used, keeping the old one", reason=str(error))

    def _make(self) -> Certificate:
        cert, key = self._config.tls_cert_path, self._config.tls_key_path
        now, server = self._clock.now(), self._identity.public
        if cert is not None and key is not None:
            return configured(self._directory, cert, key, server, now)
        return self_signed(self._directory, self._hostname, server, now)

    def _stamp(self) -> tuple[int, ...]:
        paths = (self._config.tls_cert_path, self._config.tls_key_path)
        return tuple(path.stat().st_mtime_ns for path in paths if path is not None and path.exists())


class DerpService:
    """The relay of one region: its server with STUN, mesh links, announcements to the registry and status RPC."""

    def __init__(
        self,
        server: DerpServer,
        mesh: Mesh,
        announcer: Announcer | None,
        servicer: DerpServicer,
        tls: Tls | None,
        deps: Deps,
        revocation: Revocation | None = None,
    ) -> None:
        self.server = server
        self.mesh = mesh
        self.announcer = announcer
        self.revocation = revocation
        self._servicer = servicer
        self._deps = deps
        self._collector = RelayCollector(server)
        self._watcher = Watcher(tls.follow, deps.telemetry) if tls is not None else None
        if self._watcher is not None and deps.reloader is not None:
            deps.reloader.add(self._watcher)
        self._collected = False

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer on a gRPC server."""
        derp_pb2_grpc.add_DerpServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Bind the sockets, serve, then announce the relay to the registry.

        Raises:
            OSError: an address cannot be bound.
        """
        await self.server.start()
        self._deps.handovers.relay = self.server.adopt
        self._deps.telemetry.registry.register(self._collector)
        self._collected = True
        self.mesh.start()
        if self.revocation is not None:
            self.revocation.start()
        if self.announcer is not None:
            self.announcer.start()
        if self._watcher is not None:
            self._watcher.start()
        log.info(
            "relay started",
            relay_key=str(self.server.identity.public),
            tls_port=self.server.tls_port,
            http_port=self.server.http_port,
            stun_port=self.server.stun_port,
        )

    async def stop(self) -> None:
        """Ask clients to reconnect elsewhere, then close all connections and listeners."""
        self._deps.handovers.relay = None
        if self._watcher is not None:
            await self._watcher.stop()
        if self.announcer is not None:
            await self.announcer.stop()
        if self.revocation is not None:
            await self.revocation.stop()
        await self.mesh.stop()
        await self.server.stop()
        if self._collected:
            self._collected = False
            self._deps.telemetry.registry.unregister(self._collector)


async def build(config: Config, deps: Deps) -> DerpService:
    """Build the service from the configuration and the dependencies of the process.

    Raises:
        ConfigError: a key or a file is unusable.
    """
    try:
        return _build(config, deps)
    except _SettingError as error:
        problem = ConfigProblem(
            str(config.source or "configuration"), f"derp.server.{error.key}", error.what, error.remedy
        )
        raise ConfigError([problem]) from error


def _build(config: Config, deps: Deps) -> DerpService:
    chosen = config.derp.server
    hostname = chosen.hostname or urlsplit(config.server_url).hostname or ""
    place = relay_place(config, together=deps.handovers.together)
    if not hostname:
        raise _SettingError("hostname", "is empty", "set the name or address that clients dial")
    try:
        identity = load_identity(_key_path(config), _mesh_key(chosen))
    except KeyFileError as error:
        raise _SettingError(
            "private_key_path", str(error), "restore the file, or remove it to make a new key"
        ) from error
    try:
        tls = Tls(chosen, config.state_dir, hostname, identity, deps.clock) if place.tls_address else None
    except (CertificateError, OSError) as error:
        raise _SettingError("tls_cert_path", str(error), "name a PEM certificate and its key") from error
    settings = ServerSettings(
        hostname=hostname,
        tls_address=place.tls_address,
        http_address=place.http_address,
        stun_address=chosen.stun_listen_addr if chosen.stun.enabled else "",
        addresses=tuple(address for address in _addresses(chosen, hostname) if address not in ("", "none")),
    )
    admission = _admission(chosen, deps)
    server = DerpServer(settings, identity, admission, deps.clock, tls.context if tls else None, deps.telemetry)
    mesh = Mesh(server.relay, identity, _targets(chosen), deps.clock, deps.telemetry)

    def record() -> Relay:
        port = chosen.port or place.main_port or server.tls_port or server.http_port
        cert_name = tls.certificate.cert_name if tls is not None and not place.main_port else ""
        return _record(chosen, hostname, server, port, cert_name)

    announced = chosen.automatically_add_embedded_derp_region
    announcer = Announcer(deps.channels["registry"], record, deps.telemetry) if announced else None
    revocation = None
    if isinstance(admission, RegistryAdmission):
        revocation = Revocation(deps.bus, DEFAULT_TAILNET, admission, server.relay, telemetry=deps.telemetry)
    return DerpService(server, mesh, announcer, DerpServicer(server, mesh, record), tls, deps, revocation)


def _admission(chosen: DerpServerConfig, deps: Deps) -> RelayAdmission:
    if not chosen.verify_clients:
        return OpenAdmission()
    return RegistryAdmission(deps.channels["registry"], deps.clock, fail_open=chosen.verify_clients_fail_open)


def _record(chosen: DerpServerConfig, hostname: str, server: DerpServer, port: int, cert_name: str) -> Relay:
    ipv4, ipv6 = _addresses(chosen, hostname)
    return Relay(
        region_id=chosen.region_id,
        region_code=chosen.region_code,
        region_name=chosen.region_name,
        name=chosen.name or _name(chosen.region_id, hostname),
        host_name=hostname,
        cert_name=cert_name,
        ipv4=ipv4,
        ipv6=ipv6,
        derp_port=port,
        stun_port=server.stun_port or -1,
    )


def _name(region_id: int, hostname: str) -> str:
    """Return a relay name that is stable across restarts and unique in its region if the host name is."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", f"{region_id}-{hostname}")[:63]


def _addresses(chosen: DerpServerConfig, hostname: str) -> tuple[str, str]:
    """Return the IPv4 and IPv6 addresses for the DERP map. A host given as an address has no other family."""
    try:
        literal = ipaddress.ip_address(hostname)
    except ValueError:
        return chosen.ipv4, chosen.ipv6
    if literal.version == 4:
        return chosen.ipv4 or hostname, chosen.ipv6 or "none"
    return chosen.ipv4 or "none", chosen.ipv6 or hostname


def _key_path(config: Config) -> Path:
    chosen = config.derp.server.private_key_path
    return chosen if chosen.name else config.state_dir / "derp_server_private.key"


def _mesh_key(chosen: DerpServerConfig) -> bytes | None:
    if not chosen.mesh_key:
        if chosen.mesh_with:
            raise _SettingError("mesh_with", "needs a mesh_key", "set the same one at all relays of the region")
        return None
    try:
        return parse_mesh_key(chosen.mesh_key)
    except ValueError as error:
        raise _SettingError("mesh_key", "is not 64 hex digits", "make one with 'openssl rand -hex 32'") from error


def _targets(chosen: DerpServerConfig) -> tuple[MeshTarget, ...]:
    try:
        return tuple(MeshTarget.parse(url) for url in chosen.mesh_with)
    except ValueError as error:
        raise _SettingError("mesh_with", str(error), "write https://host:port, or http://host:port") from error
