"""The private keys of an old server: its Noise key, which clients pin, and its relay's. Copies them, prints none."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cli.frame.errors import CommandError
from services.shared.config.model import Config
from services.shared.db.file import give_to_owner
from services.shared.imported import Problems
from services.shared.keys import KeyFormatError, PrivateKey

RELAY_KEYS = ("derp_server_private.key", "private.key")
"""Usual names of the relay's key; until 0.22 it was that of the old protocol."""


@dataclass(frozen=True, slots=True)
class KeyCopy:
    """A key file to make."""

    key: PrivateKey
    to: Path


def plan(config: Config, noise_key: str, problems: Problems) -> list[KeyCopy]:
    """Say which key files are made; what is missing is noted.

    Raises:
        CommandError: the file that is named has no key, or another key is in place already.
    """
    copies = []
    path = config.noise.private_key_path
    if noise_key:
        wanted, present = _read(Path(noise_key)), _present(path)
        if present is None:
            copies.append(KeyCopy(wanted, path))
        elif present != wanted:
            raise CommandError(
                f"{path} has another key than {noise_key}",
                f"clients pin the key of the server that they know: move {path} away, then import again",
            )
    elif _present(path) is None:
        problems.add(
            "key", "noise", f"there is no {path}", "clients pin this key: give it with --noise-key, or all stop"
        )
    if (relay := _relay_copy(config, Path(noise_key) if noise_key else path)) is not None:
        copies.append(relay)
    return copies


def _relay_copy(config: Config, noise_key: Path) -> KeyCopy | None:
    """Return the relay's key that lies beside the old Noise key, if the relay here has none yet."""
    relay = config.derp.server.private_key_path
    if relay.exists() or not config.derp.server.enabled:
        return None
    for old in (noise_key.with_name(name) for name in RELAY_KEYS):
        with suppress(CommandError):
            return KeyCopy(_read(old), relay)
    return None


def write(copies: list[KeyCopy]) -> list[Path]:
    """Make key files with mode 0600; returns those that were made.

    Raises:
        OSError: one cannot be made.
    """
    made = []
    for copy in copies:
        copy.to.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=copy.to.parent, prefix=f".{copy.to.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                give_to_owner(descriptor, copy.to.parent)
                file.write(copy.key.text() + "\n")
                file.flush()
                os.fsync(file.fileno())
            copy.to.hardlink_to(name)
            made.append(copy.to)
        finally:
            Path(name).unlink()
    return made


def _present(path: Path) -> PrivateKey | None:
    return _read(path) if path.exists() else None


def _read(path: Path) -> PrivateKey:
    try:
        return PrivateKey.parse(path.read_text(encoding="ascii", errors="replace"))
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", "check the path, and that this user may read it") from None
    except KeyFormatError:
        raise CommandError(f"{path} holds no private key", "it begins with privkey: and has 64 hex digits") from None
