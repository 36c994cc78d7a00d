"""The relay's certificates: the self-signed leaf and its pin, and the metacert that allows fast start.

A client that finds `CertName: sha256-raw:<hex>` in the DERP map accepts only the leaf with that hash, while it is
valid and names the host it dialled (`net/tlsdial/tlsdial.go`); no authority is needed. After the leaf we send a second
certificate, the metacert: its subject `derpkey<64 hex>` and serial number 2 are the relay's key and the protocol
version, so that over TLS 1.3 a client can log in without waiting for our first frame.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.derp.frames import PROTOCOL_VERSION
from services.shared.keys import NodeKey
from services.shared.net.tls import bare_context

PIN_PREFIX: Final = "sha256-raw:"
_LIFE = timedelta(days=3650)
_RENEW_BEFORE = timedelta(days=90)
_BACKDATE = timedelta(days=2)
_NAME_LIMIT = 64


class CertificateError(Exception):
    """A configured certificate cannot be used; the text says which file and why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files for the TLS listener, and the `CertName` of the DERP map: a pin, or empty if a CA signed the leaf."""

    chain_path: Path
    key_path: Path
    cert_name: str


def self_signed(directory: Path, hostname: str, server: NodeKey, now: datetime) -> Certificate:
    """Return the self-signed certificate in `directory`; make one if it is missing, expires soon or names another host.

    Raises:
        CertificateError: the host name is not valid in a certificate.
    """
    key_path, leaf_path = directory / "derp_tls.key", directory / "derp_tls.crt"
    leaf = _read_leaf(leaf_path) if key_path.exists() else None
    if leaf is None or leaf.not_valid_after_utc - now < _RENEW_BEFORE or _general_name(hostname) not in _names(leaf):
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _make_leaf(key, hostname, now)
        write_secret(key_path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        write_secret(leaf_path, leaf.public_bytes(Encoding.PEM))
    chain_path = _write_chain(directory, [leaf], server, now)
    return Certificate(chain_path, key_path, pin(leaf))


def configured(directory: Path, cert_path: Path, key_path: Path, server: NodeKey, now: datetime) -> Certificate:
    """Load an operator's certificate. It is pinned only if it is self-signed.

    Raises:
        CertificateError: a file is unreadable, or has no certificate.
    """
    try:
        chain = x509.load_pem_x509_certificates(cert_path.read_bytes())
    except OSError as error:
        raise CertificateError(f"{cert_path}: {error.strerror}") from error
    except ValueError as error:
        raise CertificateError(f"{cert_path} contains no certificate in PEM form") from error
    if not key_path.is_file():
        raise CertificateError(f"{key_path} is no file")
    leaf = chain[0]
    own = leaf.issuer == leaf.subject
    return Certificate(_write_chain(directory, chain, server, now), key_path, pin(leaf) if own else "")


def tls_context(certificate: Certificate) -> ssl.SSLContext:
    """Return the TLS context of the listener: TLS 1.2 or newer; clients offer no ALPN, or `http/1.1`.

    Raises:
        CertificateError: the key does not belong to the certificate, or OpenSSL refuses either.
    """
    context = bare_context()
    context.set_alpn_protocols(["http/1.1"])
    load(context, certificate)
    return context


def load(context: ssl.SSLContext, certificate: Certificate) -> None:
    """Load certificate files into a context, for connections accepted from now on.

    Raises:
        CertificateError: the key does not belong to the certificate, or OpenSSL refuses either.
    """
    try:
        context.load_cert_chain(certificate.chain_path, certificate.key_path)
    except (ssl.SSLError, OSError) as error:
        raise CertificateError(f"{certificate.key_path} and its certificate cannot be used together") from error


def pin(leaf: x509.Certificate) -> str:
    """Return the `CertName` of a self-signed leaf: `sha256-raw:` and the SHA-256 of its DER form in hex."""
    return PIN_PREFIX + hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()


def metacert(server: NodeKey, now: datetime) -> x509.Certificate:
    """Return the certificate that carries the relay's key; clients do not verify its signature."""
    key = ed25519.Ed25519PrivateKey.generate()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 71 characters are more than X.509 allows, and clients expect them
        common = x509.NameAttribute(NameOID.COMMON_NAME, f"derpkey{server.raw.hex()}", _validate=False)
    name = x509.Name([common])
    return (
        x509.CertificateBuilder(name, name, key.public_key(), PROTOCOL_VERSION, now - _BACKDATE, now + _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, None)
    )


def write_secret(path: Path, data: bytes) -> None:
    """Replace a file atomically, readable only by its owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _make_leaf(key: ec.EllipticCurvePrivateKey, hostname: str, now: datetime) -> x509.Certificate:
    # The common name is limited to 64 characters by X.509; clients compare the alternative name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:_NAME_LIMIT])])
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - _BACKDATE, now + _LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(hostname)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )


def _read_leaf(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _general_name(hostname: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(hostname))
    except ValueError:
        pass
    try:
        return x509.DNSName(hostname)
    except ValueError as error:
        raise CertificateError(f"{hostname!r} is no host name in ASCII") from error


def _names(leaf: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _write_chain(directory: Path, chain: list[x509.Certificate], server: NodeKey, now: datetime) -> Path:
    path = directory / "derp_chain.crt"
    write_secret(path, b"".join(cert.public_bytes(Encoding.PEM) for cert in (*chain, metacert(server, now))))
    return path
