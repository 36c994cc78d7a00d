"""Ways to keep a server from starting: ports taken, files spoilt, rights taken away, databases of others."""

from __future__ import annotations

import socket
import sqlite3
import struct
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.shared.db.file import hold
from tests.fakes import postgres as server
from tests.fakes.certificates import issue
from tests.fakes.ports import free_port

PORTS = ("web", "metrics", "grpc", "derp", "stun", "acme", "registry", "free", "closed")


class Place:
    """The folder, the ports and the configuration of one row; `stack` ends what stands in the way."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.ports = {name: free_port() for name in PORTS}
        self.config: dict[str, Any] = {
            "server_url": f"http://127.0.0.1:{self.ports['web']}",
            "listen_addr": f"127.0.0.1:{self.ports['web']}",
            "metrics_listen_addr": f"127.0.0.1:{self.ports['metrics']}",
            "state_dir": str(folder / "state"),
            "unix_socket": str(folder / "hs.sock"),
            "noise": {"private_key_path": str(folder / "noise.key")},
            "database": {"type": "sqlite", "sqlite": {"path": str(folder / "db.sqlite")}},
            "prefixes": {"v4": "100.64.0.0/10"},
            "dns": {"base_domain": "tail.example.net", "override_local_dns": False},
            "derp": {
                "server": {
                    "enabled": True,
                    "listen_addr": f"127.0.0.1:{self.ports['derp']}",
                    "stun_listen_addr": f"127.0.0.1:{self.ports['stun']}",
                    "private_key_path": str(folder / "derp.key"),
                }
            },
        }
        self.env: dict[str, str] = {}
        self.names: dict[str, str] = {}
        """Names for folders outside of the row's own."""

    def set(self, changes: Mapping[str, Any]) -> None:
        """Change keys, written with dots; `{folder}` and ports are filled in. None removes a key."""
        for key, value in changes.items():
            *above, name = key.split(".")
            section = self.config
            for part in above:
                section = section.setdefault(part, {})
            section[name] = self.filled(value)
            if value is None:
                del section[name]

    def filled(self, value: Any) -> Any:
        """Fill folder and ports into a value."""
        if isinstance(value, str):
            value = value.replace("{folder}", str(self.folder))
            for name, port in self.ports.items():
                value = value.replace(f"{{{name}}}", str(port))
        elif isinstance(value, list):
            value = [self.filled(item) for item in value]
        elif isinstance(value, dict):
            value = {name: self.filled(item) for name, item in value.items()}
        return value

    def write(self, name: str, content: bytes | str) -> Path:
        """Write a file of the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def occupy(self, port: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
        """Listen on a port, as another program."""
        taken = self.stack.enter_context(socket.socket(socket.AF_INET, kind))
        taken.bind(("127.0.0.1", self.ports[port]))
        if kind == socket.SOCK_STREAM:
            taken.listen(1)


Arrange = Callable[[Place], object]


@dataclass(frozen=True)
class Row:
    """One way in which a start fails."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    arrange: Arrange = lambda _: None
    raw: str | None = None
    """The configuration as text, where YAML itself is wrong."""
    env: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ("serve",)
    job: Mapping[str, Any] = field(default_factory=dict)
    """More of the job, see `start_host`."""
    root: bool = False
    """Whether only root can provoke it: it runs as another user, or on a file system of its own."""
    of_root: tuple[str, ...] = ("other", "noise.key", "db.sqlite", "server.key")
    """Names in the folder that belong to root while the server runs as another user, which has the rest."""
    config: str = "{folder}/hs.yaml"


def pair(name: str, **how: Any) -> Arrange:
    def arrange(place: Place) -> None:
        place.set({"tls_cert_path": "{folder}/tls/server.pem", "tls_key_path": "{folder}/tls/server.key"})
        place.set({"server_url": "https://hs.example.com"})
        (place.folder / "tls").mkdir()
        issue(name, authority=True, **how).write(place.folder / "tls")

    return arrange


def mismatched(place: Place) -> None:
    pair("hs.example.com")(place)
    (place.folder / "other").mkdir()
    _, other = issue("hs.example.com", authority=True).write(place.folder / "other")
    other.rename(place.folder / "tls/server.key")


def after(first: Arrange, *then: Arrange) -> Arrange:
    def arrange(place: Place) -> None:
        for one in (first, *then):
            one(place)

    return arrange


def listening(place: Place) -> None:
    """Listen at the unix socket, as another server."""
    other = place.stack.enter_context(socket.socket(socket.AF_UNIX))
    other.bind(str(place.folder / "hs.sock"))
    other.listen(1)


def weak(place: Place) -> None:
    pair("hs.example.com")(place)
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hs.example.com")])
    begin = datetime.now(UTC) - timedelta(days=1)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=90))
    place.write("tls/server.pem", made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    place.write("tls/server.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def weak_authority(place: Place) -> None:
    weak(place)
    short = (place.folder / "tls/server.pem").read_bytes()
    leaf = issue("hs.example.com", authority=True)
    leaf.write(place.folder / "tls")
    place.write("tls/server.pem", leaf.pem() + short)


def key(content: str | bytes) -> Arrange:
    return lambda place: place.write("tls/server.key", content)


def locked_key() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


def database(*statements: str) -> Arrange:
    def arrange(place: Place) -> None:
        with closing(sqlite3.connect(place.folder / "db.sqlite")) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    return arrange


def locked(place: Place) -> None:
    path = place.folder / "db.sqlite"
    place.stack.enter_context(hold(path, ["registry", "policy", "auth"]))


def postgres(sqlstate: str, message: str) -> Arrange:
    """A PostgreSQL that answers each start of a connection with an error, on the wire as the real one does."""

    def arrange(place: Place) -> None:
        listener = place.stack.enter_context(socket.create_server(("127.0.0.1", place.ports["free"])))
        place.set(POSTGRES)
        fields = {"S": "FATAL", "V": "FATAL", "C": sqlstate, "M": message}
        body = b"".join(f"{kind}{text}\0".encode() for kind, text in fields.items()) + b"\0"
        answer = b"E" + struct.pack("!i", len(body) + 4) + body

        def serve() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        while (length := connection.recv(4)) and len(connection.recv(2048)) == 4:
                            connection.sendall(b"N")  # the request for TLS comes first
                        if length:
                            connection.sendall(answer)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        place.stack.callback(listener.shutdown, socket.SHUT_RDWR)

    return arrange


def real_postgres(*statements: str, user: str = "smartscale") -> Arrange:
    """A PostgreSQL of the test's own, after statements of its superuser."""

    def arrange(place: Place) -> None:
        if server.programs() is None:
            pytest.skip(server.MISSING)
        database = place.stack.enter_context(server.postgres()).postgres
        for statement in statements:
            command = ["psql", "-h", database.host, "-U", "smartscale", "-d", "smartscale", "-c", statement]
            subprocess.run(command, check=True, capture_output=True)
        place.names[database.host] = "postgres"
        section = {"host": database.host, "user": user, "name": database.name}
        place.set({"database": {"type": "postgres", "postgres": section}})

    return arrange


POSTGRES = {
    "database": {
        "type": "postgres",
        "postgres": {"host": "127.0.0.1", "port": "{free}", "user": "hs", "pass": "secret", "name": "tailnet"},
    }
}
OIDC = {"issuer": "https://idp.example.com", "client_id": "app", "client_secret": "s3cret"}
NOBODY = {"uid": 65534}
RELAY_OFF = {"derp.server.enabled": False}


def rooted(path: str, mode: int) -> Arrange:
    """Something of root's in a folder of somebody else; made at the end, when all is given to them."""

    def arrange(place: Place) -> None:
        target = place.folder / path
        if "." in target.name:
            target.touch()
        else:
            target.mkdir()
        target.chmod(mode)

    return arrange


def mode(path: str, mode: int) -> Arrange:
    return lambda place: (place.folder / path).chmod(mode)
