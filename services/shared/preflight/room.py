"""The folder whose disk is full, found after a write of the start failed; errors of writes name no file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from services.shared.config.model import Config


def full_disk(config: Config, error: OSError) -> tuple[str, str, str] | None:
    """Return key, reason and remedy if an error is that of a full disk."""
    if error.errno != errno.ENOSPC:
        return None
    folders = {
        "state_dir": config.state_dir,
        "noise.private_key_path": config.noise.private_key_path.parent,
        "derp.server.private_key_path": config.derp.server.private_key_path.parent,
        "tls_letsencrypt_cache_dir": config.tls_letsencrypt_cache_dir,
    }
    if config.database.type == "sqlite":
        folders["database.sqlite.path"] = config.database.sqlite.path.parent
    key = min(folders, key=lambda name: _free(folders[name]))
    return key, f"the disk of {folders[key]} is full", "free space on it"


def _free(folder: Path) -> float:
    """Return the bytes that this user may still write, without end for a folder that is not there."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return float("inf")
    return found.f_bavail * found.f_frsize
