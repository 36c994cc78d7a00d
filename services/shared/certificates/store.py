"""The folder of ACME: account key, certificates and open challenges, shared by all replicas that serve one name.

account.key            PEM, 0600; made at the first order
HOST.pem               private key and chain in one file, so that one rename replaces both; 0600
challenges/TOKEN       what HTTP-01 answers for a token
challenges/ALPN.pem    the certificate that TLS-ALPN-01 answers with, and its key
lock                   held by the replica that orders
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}\Z", re.ASCII)
_ALPN_FILE = "ALPN.pem"
_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""RFC 8737 section 6.1: the extension with the digest of the key authorization."""


class AcmeStore:
    """The ACME folder of one host name."""

    def __init__(self, folder: Path, host: str) -> None:
        self.folder = folder
        self.host = host

    @property
    def pair(self) -> Path:
        """The file with the certificate and its key."""
        return self.folder / f"{self.host}.pem"

    @property
    def account_key(self) -> Path:
        """The file with the key of the ACME account."""
        return self.folder / "account.key"

    def prepare(self, now: datetime) -> None:
        """Make the folder, and a certificate of our own that listeners start with before the first one is issued.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._challenges.mkdir(exist_ok=True, mode=0o700)
        if not self.pair.exists():
            key = new_key()
            write_secret(self.pair, key_pem(key) + self_signed(key, self.host, now).public_bytes(Encoding.PEM))

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Return whether this process may order now; it alone may until the end of the block, or of the process."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def put_pair(self, key: ec.EllipticCurvePrivateKey, chain: str) -> None:
        """Replace the certificate."""
        write_secret(self.pair, key_pem(key) + chain.encode("ascii"))

    # Challenges

    def put_token(self, token: str, authorization: str) -> None:
        """Open an HTTP-01 challenge.

        Raises:
            ValueError: the authority chose a token that is no file name.
        """
        if not _TOKEN.match(token):
            raise ValueError("the token of a challenge has other characters than RFC 8555 allows")
        write_secret(self._challenges / token, authorization.encode("ascii"))

    def authorization(self, token: str) -> bytes | None:
        """Return the HTTP-01 answer for a token; None if no such challenge is open."""
        if not _TOKEN.match(token):
            return None
        try:
            return (self._challenges / token).read_bytes()
        except OSError:
            return None

    def put_alpn(self, digest: bytes, now: datetime) -> None:
        """Open a TLS-ALPN-01 challenge, with the SHA-256 of its key authorization (RFC 8737 section 3)."""
        key = new_key()
        value = x509.UnrecognizedExtension(_ACME_IDENTIFIER, b"\x04\x20" + digest)
        leaf = self_signed(key, self.host, now, value)
        write_secret(self.alpn, key_pem(key) + leaf.public_bytes(Encoding.PEM))

    @property
    def alpn(self) -> Path:
        """The file of an open TLS-ALPN-01 challenge."""
        return self._challenges / _ALPN_FILE

    def close_challenges(self) -> None:
        """Forget all challenges."""
        for path in self._challenges.iterdir():
            path.unlink(missing_ok=True)

    @property
    def _challenges(self) -> Path:
        return self.folder / "challenges"


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return a private key for a certificate."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the key as a file has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(
    key: ec.EllipticCurvePrivateKey, host: str, now: datetime, *critical: x509.ExtensionType
) -> x509.Certificate:
    """Return a certificate of our own for a host, for a week."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=7)
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    for extension in critical:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, SHA256())


def write_secret(path: Path, data: bytes) -> None:
    """Replace a file with mode 0600 by a rename, so that a reader sees the old or the new whole."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
