"""The file of the control key: made once, with mode 0600, and never changed, because clients pin its public half."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from services.shared.keys import PrivateKey


def load_or_create(path: Path) -> PrivateKey:
    """Read the key, or make it when there is no file; two gateways that start at once end up with the same one.

    Raises:
        OSError: the file can be neither read nor made.
        KeyFormatError: it holds something else.
    """
    if not path.exists():
        _create(path, PrivateKey.clamp(secrets.token_bytes(32)))
    return PrivateKey.parse(path.read_text(encoding="ascii", errors="replace"))


def _create(path: Path, key: PrivateKey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written to a temporary name, then linked: of two processes, the second finds a whole file and uses it.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.text() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(name)
    finally:
        Path(name).unlink()
