"""Checks that this process may read a file or write into a folder; else returns the reason. Changes nothing."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path


def unreadable(path: Path) -> tuple[str, str] | None:
    """Why a file cannot be read, and the remedy; None where it can."""
    blocked = _closed_parent(path)
    if blocked is not None:
        return f"{path} cannot be reached: {_who()} may not enter {blocked} ({_owned(blocked)})", _grant(blocked, "x")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"{path} cannot be read: {reason_of(error)}", "correct the path, or create the file"
    if stat.S_ISDIR(mode):
        return f"{path} is a folder", "name the file in it"
    if not _may(path, os.R_OK):
        return f"{path} cannot be read by {_who()} ({_owned(path)})", _grant(path)
    return None


def unwritable_folder(folder: Path) -> tuple[str, str] | None:
    """Why files cannot be made in a folder, which may have to be made first, and the remedy; None where they can."""
    existing = next((each for each in (folder, *folder.parents) if exists(each)), Path("/"))
    if not existing.is_dir():
        return f"{existing} is not a folder", "choose another folder"
    if _is_read_only(existing):
        return f"{existing} is on a read-only file system", "mount it writable, or choose another folder"
    if not _may(existing, os.W_OK | os.X_OK):
        what = "cannot be written" if existing == folder else "cannot be created"
        at = "" if existing == folder else f" {existing}:"
        remedy = f"chown {os.geteuid()} {existing}, or run as its owner"
        return f"{folder} {what} by {_who()} ({at.strip()}{' ' if at else ''}{_owned(existing)})", remedy
    return None


def unwritable_file(path: Path) -> tuple[str, str] | None:
    """Why a file that this process keeps cannot be written, and the remedy; None where it can."""
    if (trouble := unwritable_folder(path.parent)) is not None:
        return trouble
    if not exists(path):
        return None
    if path.is_dir():
        return f"{path} is a folder", "name a file"
    if not _may(path, os.R_OK | os.W_OK):
        return f"{path} cannot be written by {_who()} ({_owned(path)})", f"chown {os.geteuid()} {path}"
    return None


def _closed_parent(path: Path) -> Path | None:
    """Return the first folder above a path that this process may not enter."""
    return next((each for each in reversed(path.parents) if exists(each) and not _may(each, os.X_OK)), None)


def exists(path: Path) -> bool:
    """Return whether a path exists, as far as this process may know."""
    try:
        return path.exists()
    except OSError:
        return False


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _who() -> str:
    return f"uid {os.geteuid()}"


def _owned(path: Path) -> str:
    found = path.stat()
    return f"owner {_user(found.st_uid)}:{_group(found.st_gid)}, mode {stat.S_IMODE(found.st_mode):04o}"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _grant(path: Path, right: str = "") -> str:
    """Return the remedy. Files are not opened to everybody, because most of them hold secrets."""
    return f"chown {os.geteuid()} {path}, or " + (f"chmod o+{right} {path}" if right else "run as its owner")


def reason_of(error: OSError) -> str:
    """Return the reason of a failed access in words."""
    return "it does not exist" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
