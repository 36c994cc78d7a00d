"""One inspection for `serve` and `configtest`: everything that a configuration names is opened, and nothing is changed.

What forbids the start is a problem with key, path and remedy; what will not fit together for clients is a warning.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from services.shared.certificates.pairs import PairError, check_authorities, check_pair
from services.shared.config.errors import ConfigProblem, Found
from services.shared.config.login import key_of_provider
from services.shared.config.model import Config
from services.shared.config.relay_place import relay_place
from services.shared.documents import DocumentError
from services.shared.documents.reading import derp_map_of_file, records_of_file
from services.shared.file_rights import exists, unreadable, unwritable_file, unwritable_folder
from services.shared.keys import KeyFormatError, PrivateKey
from services.shared.net.unix_socket import is_served
from services.shared.preflight.addresses import addresses
from services.shared.preflight.ports import overlaps, unbindable

ALL = frozenset(("policy", "registry", "auth", "map_streamer", "derp", "gateway"))
_STORES = frozenset(("policy", "registry", "auth"))
_SOCKET_PATH = 107
"""Bytes of `sun_path` without its terminating zero (unix(7))."""
_EXPIRES_SOON = timedelta(days=14)
_LEFT_OUT = "it is left out"
_NO_RELAY = "correct the file, or write derp.server.enabled: true"
_CONTENTS = {"client_secret_path": "write the secret into it", "private_key_path": "write the private key into it"}


@dataclass(slots=True)
class InspectionReport:
    """The findings of an inspection."""

    problems: list[ConfigProblem] = field(default_factory=list)
    warnings: list[ConfigProblem] = field(default_factory=list)


class _Inspection:
    """Collector of findings, each with the place of its key."""

    def __init__(self, config: Config, together: bool) -> None:
        self.config = config
        self.together = together
        self.report = InspectionReport()

    def problem(self, key: str, what: str, remedy: str) -> None:
        self.report.problems.append(ConfigProblem(self._where(key), key, what, remedy))

    def warning(self, key: str, what: str, remedy: str) -> None:
        self.report.warnings.append(ConfigProblem(self._where(key), key, what, remedy))

    def need(self, key: str, trouble: tuple[str, str] | None) -> bool:
        """Return whether there is no trouble; with some, it is a problem of a key."""
        if trouble is not None:
            self.problem(key, *trouble)
        return trouble is None

    def _where(self, key: str) -> str:
        return self.config.places.get(key) or str(self.config.source or "configuration")


def inspect(
    config: Config, processes: Collection[str] = ALL, *, together: bool = True, ports: bool = True
) -> InspectionReport:
    """Open everything that the named processes use. `ports` also binds their addresses, so no server may run yet."""
    found = _Inspection(config, together)
    parts: list[tuple[Collection[str], Callable[[_Inspection], None]]] = [
        (("gateway",), _gateway),
        (("derp",), _relay),
        (_STORES, _database),
        (("auth",), _providers),
        (("map_streamer",), _records),
        (("map_streamer",), _relays),
        (("policy",), _policy),
    ]
    for users, part in parts:
        if set(users) & set(processes):
            part(found)
    if not together:
        _internal_tls(found)
    if ports:
        _ports(found, list(addresses(config, processes, together=together)))
        if "gateway" in processes and is_served(config.unix_socket):
            what = f"another server listens at {config.unix_socket}"
            found.problem("unix_socket", what, "stop that server, or give this one a path of its own")
    return found.report


def _ports(found: _Inspection, wanted: list[tuple[str, str, socket.SocketKind]]) -> None:
    """Bind each address for a moment, unless another key has it already."""
    for number, (key, address, kind) in enumerate(wanted):
        other = next((one for one, at, sort in wanted[:number] if sort == kind and overlaps(at, address)), None)
        if other is not None:
            found.problem(key, f"{address} is also the address of {other}", "choose another port")
        else:
            found.need(key, unbindable(address, kind))


def _gateway(found: _Inspection) -> None:
    config = found.config
    _private_key(found, "noise.private_key_path", config.noise.private_key_path)
    _socket(found, config.unix_socket)
    if config.tls_letsencrypt_hostname:
        found.need("tls_letsencrypt_cache_dir", unwritable_folder(config.tls_letsencrypt_cache_dir))
    host = urlsplit(config.server_url).hostname or ""
    _pair(found, "", config.tls_cert_path, config.tls_key_path, host)


def _relay(found: _Inspection) -> None:
    server = found.config.derp.server
    if not server.enabled:
        return
    key = (
        server.private_key_path if server.private_key_path.name else found.config.state_dir / "derp_server_private.key"
    )
    _private_key(found, "derp.server.private_key_path", key)
    if relay_place(found.config, together=found.together).tls_address:
        found.need("state_dir", unwritable_folder(found.config.state_dir))
    _pair(found, "derp.server.", server.tls_cert_path, server.tls_key_path, server.hostname)


def _database(found: _Inspection) -> None:
    database = found.config.database
    path = database.sqlite.path
    if database.type != "sqlite" or not found.need("database.sqlite.path", unwritable_file(path)):
        return
    # A command that root ran may have left these to root, and SQLite cannot open the database then.
    for beside in (Path(f"{path}{end}") for end in ("-wal", "-shm", ".lock")):
        if not found.need("database.sqlite.path", unwritable_file(beside)):
            return
    if exists(path) and path.stat().st_size and not _is_sqlite(path):
        remedy = "name another file, or restore it from a backup"
        found.problem("database.sqlite.path", f"{path} is not a SQLite database", remedy)


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\x00"


def _providers(found: _Inspection) -> None:
    for name, provider in found.config.oidc.in_use().items():
        above = key_of_provider(name)
        for key, path in (
            ("client_secret_path", provider.client_secret_path),
            ("private_key_path", provider.private_key_path),
            ("ca_path", provider.ca_path),
        ):
            if path is None or not found.need(f"{above}.{key}", unreadable(path)):
                continue
            if key == "ca_path":
                _authorities(found, f"{above}.{key}", path)
            elif not path.stat().st_size:
                found.problem(f"{above}.{key}", f"{path} is empty", _CONTENTS[key])


def _policy(found: _Inspection) -> None:
    policy = found.config.policy
    if policy.mode == "file" and policy.path is not None and (trouble := unreadable(policy.path)) is not None:
        what, remedy = trouble
        found.warning("policy.path", f"{what}; nothing is allowed until it can be read", remedy)


def _records(found: _Inspection) -> None:
    path = found.config.dns.extra_records_path
    if path is not None and found.need("dns.extra_records_path", unreadable(path)):
        try:
            records = records_of_file(path)
        except DocumentError as error:
            found.problem("dns.extra_records_path", f"{path} {error}", "correct the file, or remove the key")
        else:
            for finding in records[1] if records else ():
                found.warning("dns.extra_records_path", f"{path}: {finding}", "it is left out")


def _relays(found: _Inspection) -> None:
    config = found.config
    usable = False
    failed: list[Found] = []
    for path in config.derp.paths:
        try:
            read = derp_map_of_file(path)
        except DocumentError as error:
            failed.append(("derp.paths", *_unusable_map(path, error)))
            continue
        usable = usable or any(read.regions.values())
        for finding in read.findings:
            failed.append(("derp.paths", f"{path}: {finding}", _LEFT_OUT))
    usable = usable or config.derp.server.enabled or bool(config.derp.urls)
    for key, what, remedy in failed:
        if usable:
            found.warning(key, what, remedy)
        else:
            found.problem(key, what, _NO_RELAY if remedy == _LEFT_OUT else remedy)
    if not usable and not failed:
        files = ", ".join(map(str, config.derp.paths)) or "nothing"
        what = f"{files} {'contains' if len(config.derp.paths) < 2 else 'contain'} no relay that clients can use"
        found.problem("derp.paths", what, "add a region with a node to it, or write derp.server.enabled: true")


def _unusable_map(path: Path, error: DocumentError) -> tuple[str, str]:
    """Return why a file of relays cannot be used, and the remedy."""
    if any(part.lower() in ("http:", "https:") for part in path.parts):
        return f"{path} {error}", "write URLs to derp.urls"
    closed = unreadable(path) if exists(path) else None
    return closed or (f"{path} {error}", "correct the file, or remove it from the list")


def _internal_tls(found: _Inspection) -> None:
    tls = found.config.services.tls
    _pair(found, "services.tls.", tls.cert_path, tls.key_path, "", names=("cert_path", "key_path"))
    if tls.ca_path is not None and found.need("services.tls.ca_path", unreadable(tls.ca_path)):
        _authorities(found, "services.tls.ca_path", tls.ca_path)


def _authorities(found: _Inspection, key: str, path: Path) -> None:
    try:
        check_authorities(path)
    except PairError as error:
        found.problem(key, error.what, error.remedy)


_AFTER_NEW_KEY = {
    "noise.private_key_path": "clients must then be restarted",  # they keep the old key while they run
    "derp.server.private_key_path": "clients learn it by themselves",
}
"""Consequences of a new key."""


def _private_key(found: _Inspection, key: str, path: Path) -> None:
    """A key file that is made at the first start and never changes."""
    if not exists(path):
        found.need(key, unwritable_folder(path.parent))
        return
    if not found.need(key, unreadable(path)):
        return
    try:
        PrivateKey.parse(path.read_text("ascii"))
    except (KeyFormatError, UnicodeDecodeError, OSError):
        remedy = f"restore it from a backup, or remove it to make a new one; {_AFTER_NEW_KEY[key]}"
        found.problem(key, f"{path} does not contain a private key (privkey: and 64 hex digits)", remedy)


def _socket(found: _Inspection, path: Path) -> None:
    if not found.need("unix_socket", unwritable_folder(path.parent)):
        return
    if len(os.fsencode(path)) > _SOCKET_PATH:
        what = f"{path} is longer than the {_SOCKET_PATH} bytes that the system allows for a socket"
        found.problem("unix_socket", what, "name a shorter path")
    elif exists(path) and not path.is_socket():
        found.problem("unix_socket", f"{path} exists and is not a socket", "remove it, or name another path")


def _pair(
    found: _Inspection,
    section: str,
    certificate: Path | None,
    key: Path | None,
    host: str,
    names: tuple[str, str] = ("tls_cert_path", "tls_key_path"),
) -> None:
    if certificate is None or key is None:
        return
    cert_key = f"{section}{names[0]}"
    if not found.need(cert_key, unreadable(certificate)) or not found.need(f"{section}{names[1]}", unreadable(key)):
        return
    try:
        leaf = check_pair(certificate, key)
    except PairError as error:
        found.problem(cert_key if error.key == "cert" else f"{section}{names[1]}", error.what, error.remedy)
        return
    now = datetime.now(UTC)
    if leaf.not_before > now:
        what = (
            f"{certificate} is valid from {leaf.not_before:%Y-%m-%d}, and the clock of this machine says {now:%Y-%m-%d}"
        )
        found.warning(cert_key, what, "correct the clock, or get a certificate that is valid now")
    left = leaf.not_after - now
    if left < _EXPIRES_SOON:
        when = f"{'ended' if left < timedelta(0) else 'ends'} on {leaf.not_after:%Y-%m-%d}"
        found.warning(cert_key, f"{certificate} {when}", "renew it; a new file is taken into use without a restart")
    if host and not leaf.covers(host):
        what = f"{certificate} is for {', '.join(leaf.names) or 'no name'}, and clients dial {host}"
        found.warning(cert_key, what, "clients refuse it; get a certificate for that name")
