"""Every message with which an inspection forbids or doubts a start: key, path, user, mode and remedy."""

from __future__ import annotations

import ast
import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from services.shared.certificates import pairs
from services.shared.config import Config
from services.shared.preflight import inspect, inspection
from services.shared.preflight.ports import describe, overlaps, unbindable
from tests.fakes.ports import free_port
from tests.unit.config.reading import from_file

PREFLIGHT = Path(inspection.__file__).parent
STRANGER = 54321
"""A user that owns nothing."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that strangers may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "state").mkdir()
        yield path


def pair(folder: Path, name: str, host: str, days: int = 90, password: bytes | None = None) -> tuple[Path, Path]:
    """A self-signed certificate for a host, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), 1, now - timedelta(days=400), now + timedelta(days=days, minutes=1)
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    cert_path, key_path = folder / f"{name}.crt", folder / f"{name}.key"
    cert_path.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return cert_path, key_path


def looked_at(folder: Path, flat: dict[str, Any], *, as_stranger: bool = False, ports: bool = False) -> tuple[Any, Any]:
    """What is said of a configuration whose state is in the folder: problems and warnings, `HERE` for the folder."""
    config = from_file(folder, {"state_dir": str(folder / "state"), **flat})
    (folder / "config.yaml").chmod(0o644)
    before = os.geteuid()
    if as_stranger:
        os.seteuid(STRANGER)
    try:
        report = inspect(config, together=False, ports=ports)
    finally:
        os.seteuid(before)
    texts = [
        [f"{one.key}: {one.what} — {one.remedy}".replace(str(folder), "HERE") for one in group]
        for group in (report.problems, report.warnings)
    ]
    assert all(one.where.startswith(str(folder)) for group in (report.problems, report.warnings) for one in group)
    return texts[0], texts[1]


def test_a_fresh_state_folder_is_all_that_is_needed(folder: Path) -> None:
    assert looked_at(folder, {}, ports=False) == ([], [])
    assert list((folder / "state").iterdir()) == []


# what is made in the folder, what is configured, and what is said
Make = Callable[[Path], object]
PROBLEMS: dict[str, tuple[Make, dict[str, Any], str]] = {
    "noise key": (
        lambda here: (here / "n.key").write_text("hello"), {"noise.private_key_path": "n.key"},
        "noise.private_key_path: HERE/n.key does not contain a private key (privkey: and 64 hex digits) — "
        "restore it from a backup, or remove it to make a new one; clients must then be restarted",
    ),
    "relay key": (
        lambda here: (here / "d.key").write_bytes(b"\xff"), {"derp.server.private_key_path": "d.key"},
        "derp.server.private_key_path: HERE/d.key does not contain a private key (privkey: and 64 hex digits) — "
        "restore it from a backup, or remove it to make a new one; clients learn it by themselves",
    ),
    "secret that is not there": (
        lambda here: None,
        {"oidc.issuer": "https://i", "oidc.client_id": "c", "oidc.client_secret_path": "secret"},
        "oidc.client_secret_path: HERE/secret cannot be read: it does not exist — correct the path, or create the file",
    ),
    "secret that is empty": (
        lambda here: (here / "secret").touch(),
        {"oidc.issuer": "https://i", "oidc.client_id": "c", "oidc.client_secret_path": "secret"},
        "oidc.client_secret_path: HERE/secret is empty — write the secret into it",
    ),
    "a folder for a file": (
        lambda here: (here / "ca").mkdir(),
        {"oidc.issuer": "https://i", "oidc.client_id": "c", "oidc.client_secret": "s", "oidc.ca_path": "ca"},
        "oidc.ca_path: HERE/ca is a folder — name the file in it",
    ),
    "certificate that is not there": (
        lambda here: None, {"tls_cert_path": "c", "tls_key_path": "k"},
        "tls_cert_path: HERE/c cannot be read: it does not exist — correct the path, or create the file",
    ),
    "no certificate": (
        lambda here: ((here / "c").write_text("x"), (here / "k").touch()), {"tls_cert_path": "c", "tls_key_path": "k"},
        "tls_cert_path: HERE/c contains no certificate in PEM form — "
        "name a file of PEM certificates, the server's own first",
    ),
    "no key": (
        lambda here: (pair(here, "a", "a.example"), (here / "k").write_text("x")),
        {"tls_cert_path": "a.crt", "tls_key_path": "k"},
        "tls_key_path: HERE/k contains no private key in PEM form — name the file of the private key",
    ),
    "key with a passphrase": (
        lambda here: pair(here, "a", "a.example", password=b"x"),
        {"derp.server.tls_cert_path": "a.crt", "derp.server.tls_key_path": "a.key"},
        "derp.server.tls_key_path: HERE/a.key is encrypted with a passphrase — "
        "remove the passphrase: openssl pkey -in OLD -out NEW",
    ),
    "key of another certificate": (
        lambda here: (pair(here, "a", "a.example"), pair(here, "b", "a.example")),
        {"tls_cert_path": "a.crt", "tls_key_path": "b.key"},
        "tls_key_path: HERE/b.key does not belong to the certificate in HERE/a.crt — "
        "name the key that this certificate was made with",
    ),
    "no authority": (
        lambda here: pair(here, "a", "a.example"),
        {"services.tls": {"ca_path": "ca", "cert_path": "a.crt", "key_path": "a.key"}},
        "services.tls.ca_path: HERE/ca cannot be read: it does not exist — correct the path, or create the file",
    ),
    "another database": (
        lambda here: (here / "db").write_text("not a database at all"), {"database.sqlite.path": "db"},
        "database.sqlite.path: HERE/db is not a SQLite database — name another file, or restore it from a backup",
    ),
    "a folder for the database": (
        lambda here: (here / "db").mkdir(), {"database.sqlite.path": "db"},
        "database.sqlite.path: HERE/db is a folder — name a file",
    ),
    "a file for a folder": (
        lambda here: (here / "f").touch(), {"database.sqlite.path": "f/db"},
        "database.sqlite.path: HERE/f is not a folder — choose another folder",
    ),
    "no socket": (
        lambda here: (here / "s").touch(), {"unix_socket": "s"},
        "unix_socket: HERE/s exists and is not a socket — remove it, or name another path",
    ),
    "a socket with a long path": (
        lambda here: None, {"unix_socket": "s" * 120},
        f"unix_socket: HERE/{'s' * 120} is longer than the 107 bytes that the system allows for a socket — "
        "name a shorter path",
    ),
    "records that are none": (
        lambda here: (here / "r").write_text("{}"), {"dns.extra_records_path": "r"},
        "dns.extra_records_path: HERE/r is not a list of records — correct the file, or remove the key",
    ),
    "no relay at all": (
        lambda here: None, {"derp.server.enabled": False, "derp.paths": ["d"]},
        "derp.paths: HERE/d cannot be read: it does not exist — "
        "correct the file, or remove it from the list",
    ),
    "an address among the files of relays": (
        lambda here: None, {"derp.server.enabled": False, "derp.paths": ["https://relay.example/map"]},
        "derp.paths: HERE/https:/relay.example/map cannot be read: it does not exist — write URLs to derp.urls",
    ),
    "only relays that are unusable": (
        lambda here: (here / "d").write_text("regions: {900: hello}"),
        {"derp.server.enabled": False, "derp.paths": ["d"]},
        "derp.paths: HERE/d: region 900 is not a mapping — correct the file, or write derp.server.enabled: true",
    ),
    "only regions that are taken away": (
        lambda here: (here / "d").write_text("regions: {900: null}"),
        {"derp.server.enabled": False, "derp.paths": ["d"]},
        "derp.paths: HERE/d contains no relay that clients can use — "
        "add a region with a node to it, or write derp.server.enabled: true",
    ),
}  # fmt: skip
WARNINGS: dict[str, tuple[Make, dict[str, Any], str]] = {
    "certificate for another name": (
        lambda here: pair(here, "a", "a.example"), {"tls_cert_path": "a.crt", "tls_key_path": "a.key"},
        "tls_cert_path: HERE/a.crt is for a.example, and clients dial headscale.example.com — "
        "clients refuse it; get a certificate for that name",
    ),
    "certificate that ends soon": (
        lambda here: pair(here, "a", "*.example.com", 3), {"tls_cert_path": "a.crt", "tls_key_path": "a.key"},
        f"tls_cert_path: HERE/a.crt ends on {datetime.now(UTC) + timedelta(days=3, minutes=1):%Y-%m-%d} — "
        "renew it; a new file is taken into use without a restart",
    ),
    "policy that is not there": (
        lambda here: None, {"policy.path": "p"},
        "policy.path: HERE/p cannot be read: it does not exist; nothing is allowed until it can be read — "
        "correct the path, or create the file",
    ),
    "record that is unusable": (
        lambda here: (here / "r").write_text('[{"name": "a.b", "type": "TXT", "value": "x"}]'),
        {"dns.extra_records_path": "r"},
        'dns.extra_records_path: HERE/r: record 1 ("a.b") is of type TXT, and clients know only A and AAAA — '
        "it is left out",
    ),
    "relay beside others": (
        lambda here: (here / "d").write_text("regions: ["),
        {"derp.server.enabled": True, "derp.paths": ["d"]},
        "derp.paths: HERE/d is not YAML: did not find expected node content (line 2) — "
        "correct the file, or remove it from the list",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBLEMS)
def test_what_forbids_a_start_is_said_with_its_key(folder: Path, name: str) -> None:
    make, flat, text = PROBLEMS[name]
    make(folder)
    assert looked_at(folder, flat)[0] == [text]


@pytest.mark.parametrize("name", WARNINGS)
def test_what_will_not_fit_together_is_a_warning(folder: Path, name: str) -> None:
    make, flat, text = WARNINGS[name]
    make(folder)
    problems, warnings = looked_at(folder, flat)
    assert (problems, warnings) == ([], [text])


ROOTS = pytest.mark.skipif(os.geteuid() != 0, reason="root alone may become another user")


@ROOTS
@pytest.mark.parametrize(
    ("name", "key", "flat"),
    [
        ("db.sqlite-wal", "database.sqlite.path", {}),
        ("db.sqlite-shm", "database.sqlite.path", {}),
        ("db.sqlite.lock", "database.sqlite.path", {}),
        ("r.json", "dns.extra_records_path", {"dns.extra_records_path": "r.json"}),
        ("d.yaml", "derp.paths", {"derp.server.enabled": False, "derp.paths": ["d.yaml"]}),
    ],
)
def test_a_file_that_root_left_is_named_with_its_owner(folder: Path, name: str, key: str, flat: dict[str, Any]) -> None:
    (folder / "db.sqlite").touch()
    os.chown(folder / "db.sqlite", STRANGER, -1)
    for own in (folder, folder / "state"):
        os.chown(own, STRANGER, -1)
    (folder / name).write_text("x")
    (folder / name).chmod(0o600)
    problems, _ = looked_at(folder, {"database.sqlite.path": "db.sqlite", **flat}, as_stranger=True)
    assert len(problems) == 1 and problems[0].startswith(f"{key}: HERE/{name} cannot be ")
    assert f"by uid {STRANGER} (owner root:root, mode 0600) — chown {STRANGER} HERE/{name}" in problems[0]


@ROOTS
def test_folders_and_files_that_another_user_owns_are_named_with_owner_mode_and_remedy(folder: Path) -> None:
    (folder / "secret").write_text("s")
    (folder / "secret").chmod(0o600)
    (folder / "closed").mkdir(mode=0o700)
    (folder / "state" / "db.sqlite").write_bytes(b"SQLite format 3\x00")
    problems, _ = looked_at(
        folder,
        {
            "oidc": {"issuer": "https://i", "client_id": "c", "client_secret_path": "secret", "ca_path": "closed/ca"},
            "unix_socket": "run/headscale.sock",
            "derp.server.private_key_path": "closed/d.key",
        },
        as_stranger=True,
    )
    here = f"chown {STRANGER} HERE"
    assert problems == [
        f"noise.private_key_path: HERE/state cannot be written by uid {STRANGER} (owner root:root, mode 0755) — "
        f"{here}/state, or run as its owner",
        f"unix_socket: HERE/run cannot be created by uid {STRANGER} (HERE: owner root:root, mode 0755) — "
        f"{here}, or run as its owner",
        f"derp.server.private_key_path: HERE/closed cannot be written by uid {STRANGER} (owner root:root, mode 0700) — "
        f"{here}/closed, or run as its owner",
        f"state_dir: HERE/state cannot be written by uid {STRANGER} (owner root:root, mode 0755) — "
        f"{here}/state, or run as its owner",
        f"database.sqlite.path: HERE/state cannot be written by uid {STRANGER} (owner root:root, mode 0755) — "
        f"{here}/state, or run as its owner",
        f"oidc.client_secret_path: HERE/secret cannot be read by uid {STRANGER} (owner root:root, mode 0600) — "
        f"{here}/secret, or run as its owner",
        f"oidc.ca_path: HERE/closed/ca cannot be reached: uid {STRANGER} may not enter HERE/closed "
        f"(owner root:root, mode 0700) — {here}/closed, or chmod o+x HERE/closed",
    ]


@ROOTS
def test_a_database_file_that_another_user_owns_is_named(folder: Path) -> None:
    (folder / "state").chmod(0o777)
    database = folder / "state" / "db.sqlite"
    database.write_bytes(b"SQLite format 3\x00")
    database.chmod(0o644)
    problems, _ = looked_at(folder, {}, as_stranger=True)
    assert problems == [
        f"database.sqlite.path: HERE/state/db.sqlite cannot be written by uid {STRANGER} "
        f"(owner root:root, mode 0644) — chown {STRANGER} HERE/state/db.sqlite"
    ]


def test_each_address_that_is_in_use_is_named_with_its_key(folder: Path) -> None:
    names = ("registry", "policy", "auth", "map_streamer", "derp", "gateway")
    with contextlib.ExitStack() as stack:

        def taken(kind: socket.SocketKind = socket.SOCK_STREAM) -> str:
            made = stack.enter_context(socket.socket(type=kind))
            made.bind(("127.0.0.1", 0))
            if kind == socket.SOCK_STREAM:
                made.listen()
            return f"127.0.0.1:{made.getsockname()[1]}"

        at = {key: taken() for key in ("listen_addr", "grpc_listen_addr", "metrics_listen_addr")}
        relay = {"listen_addr": taken(), "http_listen_addr": taken(), "stun_listen_addr": taken(socket.SOCK_DGRAM)}
        services = {name: {"listen_addr": taken()} for name in names}
        flat: dict[str, Any] = {**at, "grpc_allow_insecure": True, "derp.server": relay, "services": services}
        problems, _ = looked_at(folder, flat, ports=True)
    wanted = at | {f"derp.server.{key}": address for key, address in relay.items()}
    wanted |= {f"services.{name}.listen_addr": services[name]["listen_addr"] for name in names}
    expected_problems = []
    name = Path("/proc/self/comm").read_text().strip()
    for key, address in wanted.items():
        remedy = f"end it (kill {os.getpid()}), or choose another port"
        expected_problems.append(f"{key}: {address} is in use by {name} (process {os.getpid()}) — {remedy}")
    assert sorted(problems) == sorted(expected_problems)


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        (":1", "127.0.0.1:1", True),
        ("10.0.0.1:1", "0.0.0.0:1", True),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_two_keys_with_one_address_are_found(one: str, other: str, together: bool) -> None:
    assert overlaps(one, other) is overlaps(other, one) is together


def test_two_keys_with_one_address_are_named(folder: Path) -> None:
    port = free_port()
    flat = {"listen_addr": f"127.0.0.1:{port}", "metrics_listen_addr": f":{port}"}
    problems, _ = looked_at(folder, flat, ports=True)
    assert f"metrics_listen_addr: :{port} is also the address of listen_addr — choose another port" in problems


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            13,
            f"a:80: uid {os.geteuid()} may not listen on ports below 1024 — "
            "give the process CAP_NET_BIND_SERVICE, or choose a higher port",
        ),
        (99, "a:80 is not an address of this machine — write an IP address of this machine, or :PORT for all"),
        (12, "a:80 cannot be listened on: cannot allocate memory — choose another address"),
    ],
)
def test_why_an_address_cannot_be_bound_is_said_in_words(number: int, said: str) -> None:
    what, remedy = describe("a:80", socket.SOCK_STREAM, OSError(number, os.strerror(number)))
    assert f"{what} — {remedy}" == said


def test_addresses_of_other_machines_and_names_without_one_are_refused() -> None:
    other, unknown = unbindable("192.0.2.1:0"), unbindable("nowhere.invalid:80")
    assert other is not None and other[0] == "192.0.2.1:0 is not an address of this machine"
    assert unknown is not None and unknown[0] == "nowhere.invalid:80 does not resolve to an address of this machine"
    assert unbindable("127.0.0.1:0") is None and unbindable(":0") is None and unbindable("[::1]:0") is None


def test_a_relay_that_is_off_and_ports_of_other_processes_are_not_looked_at(folder: Path) -> None:
    (folder / "d.key").write_text("x")
    config: Config = from_file(folder, {"state_dir": str(folder / "state"), "derp.server.private_key_path": "d.key"})
    off = replace(config, derp=replace(config.derp, server=replace(config.derp.server, enabled=False), urls=("u",)))
    assert inspect(off, ports=False).problems == []
    assert inspect(config, {"registry"}, ports=False).problems == []


UNSEEN = {
    "is on a read-only file system", "mount it writable, or choose another folder",
    "an authority in it is signed with an outdated hash",
    "cannot be used for TLS:", "make a certificate with a key of 2048 bits RSA, or ECDSA P-256",
}  # fmt: skip
"""What needs another file system, or an OpenSSL that refuses more than ours."""


def literals(module: Path) -> Iterator[str]:
    """The constant parts, of some words, of what a module says; docstrings are not said."""
    tree = ast.parse(module.read_text())
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    yield from (str(node.value).strip() for node in texts if id(node) not in silent and str(node.value).count(" ") > 2)


def expected() -> str:
    """All texts that the tests of this folder expect, with nothing in the place of what is filled in."""
    out = []
    texts = [path.read_text() for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    for node in (node for text in texts for node in ast.walk(ast.parse(text))):
        if isinstance(node, ast.JoinedStr):
            out.append("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            out.append(node.value)
    return "\n".join(out)


def test_no_message_lacks_a_test() -> None:
    # Starts that fail are shown whole in another table.
    shown = Path(__file__).parents[2] / "flow/process/start_failures.txt"
    wanted = expected() + shown.read_text("utf-8")
    modules = [PREFLIGHT / "inspection.py", PREFLIGHT / "ports.py", PREFLIGHT.parent / "file_rights.py"]
    texts = [text for module in (*modules, Path(pairs.__file__)) for text in literals(module)]
    assert [text for text in texts if text not in wanted and text not in UNSEEN] == []
