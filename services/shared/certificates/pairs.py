"""A certificate file and its key: whether TLS can use them, for whom they are, and until when. Opens no socket."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

_OPENSSL = {
    "EE_KEY_TOO_SMALL": "its key is too short",
    "CA_KEY_TOO_SMALL": "the key of an authority in it is too short",
    "CA_MD_TOO_WEAK": "an authority in it is signed with an outdated hash",
}
"""Reasons of OpenSSL in words."""


class PairError(Exception):
    """A certificate and its key cannot be used; `key` is the part that is wrong: `cert` or `key`."""

    def __init__(self, key: str, what: str, remedy: str) -> None:
        super().__init__(what)
        self.key, self.what, self.remedy = key, what, remedy


@dataclass(frozen=True, slots=True)
class Leaf:
    """The fields of a certificate: names, issuer and validity."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    self_signed: bool

    def covers(self, host: str) -> bool:
        """Return whether it names a host, as clients compare (RFC 6125: a wildcard stands for one label)."""
        host = host.lower()
        above = f"*.{host.partition('.')[2]}"
        return any(name.lower() in (host, above) for name in self.names)


def check_pair(certificate: Path, key: Path) -> Leaf:
    """Read a PEM certificate chain and its private key, and return what the certificate says.

    Raises:
        PairError: one cannot be read, or they do not belong together.
    """
    leaf = _leaf(certificate)
    secret = _secret(key)
    if secret.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != (
        leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ):
        remedy = "name the key that this certificate was made with"
        raise PairError("key", f"{key} does not belong to the certificate in {certificate}", remedy)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        reason = _OPENSSL.get(str(getattr(error, "reason", "")), str(error))
        what = f"{certificate} cannot be used for TLS: {reason}"
        raise PairError("cert", what, "make a certificate with a key of 2048 bits RSA, or ECDSA P-256") from None
    return Leaf(_names(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc, leaf.issuer == leaf.subject)


def check_authorities(path: Path) -> None:
    """Check that a file holds certificates of authorities.

    Raises:
        PairError: it cannot be read, or holds none.
    """
    try:
        x509.load_pem_x509_certificates(_read("cert", path))
    except ValueError:
        remedy = "name a PEM file of the authority's certificates"
        raise PairError("cert", f"{path} contains no certificate in PEM form", remedy) from None


def _leaf(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_read("cert", path))[0]
    except ValueError:
        remedy = "name a file of PEM certificates, the server's own first"
        raise PairError("cert", f"{path} contains no certificate in PEM form", remedy) from None


def _secret(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(_read("key", path), None)
    except TypeError:
        what, remedy = f"{path} is encrypted with a passphrase", "remove the passphrase: openssl pkey -in OLD -out NEW"
        raise PairError("key", what, remedy) from None
    except (ValueError, UnsupportedAlgorithm):
        what, remedy = f"{path} contains no private key in PEM form", "name the file of the private key"
        raise PairError("key", what, remedy) from None


def _read(part: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PairError(part, f"{path} cannot be read: {reason}", "correct the path, or create the file") from None


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )
