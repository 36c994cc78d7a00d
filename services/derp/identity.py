"""The relay's private key file. It must persist: a new key breaks every fast start and mesh link."""

from __future__ import annotations

import os
from pathlib import Path

from services.derp.certificate import write_secret
from services.derp.handshake import public_key
from services.derp.session import RelayKeys
from services.shared.keys import KeyFormatError, PrivateKey


class KeyFileError(Exception):
    """The key file is unusable; the text has its path and the reason, never its content."""


def load_identity(path: Path, mesh_key: bytes | None) -> RelayKeys:
    """Load the relay's key from a file, or create it at first start.

    Raises:
        KeyFileError: the file does not contain a key, or cannot be read or written.
    """
    try:
        private = _read(path) if path.exists() else _make(path)
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    except (KeyFormatError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} does not contain a private key") from error
    return RelayKeys(private, public_key(private), mesh_key)


def _read(path: Path) -> PrivateKey:
    return PrivateKey.parse(path.read_text("ascii"))


def _make(path: Path) -> PrivateKey:
    private = PrivateKey.clamp(os.urandom(32))
    write_secret(path, private.text().encode("ascii"))
    return private
