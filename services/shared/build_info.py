"""The version and commit of this program: recorded by the build, or read from the git of a checkout."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HEADSCALE = "0.29.2"
"""The Headscale release whose administration API and command line this program has; tools choose their calls by it."""
UNKNOWN = "unknown"
VARIABLE = "SMARTSCALE_COMMIT"
"""Variable with the commit for builds without history, such as images."""
WRITTEN = "commit.txt"
"""The file beside this one that the build leaves in a wheel."""
_COMMIT = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/-]{0,127}\Z")


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """A version, the commit (`unknown` if not recorded), and whether files differed from that commit."""

    version: str
    commit: str
    dirty: bool


@cache
def built() -> BuildInfo:
    """Return the build information of this process."""
    try:
        number = version("smartscale")
    except PackageNotFoundError:
        number = "dev"
    commit = commit_of(Path(__file__).parent, os.environ)
    return BuildInfo(number, commit.removesuffix("-dirty"), commit.endswith("-dirty"))


def described() -> dict[str, object]:
    """Describe this program as Headscale does, for `/version` and `headscale version -o json`.

    `version` is the Headscale release whose interfaces it has, as tools choose their calls by it; `smartscale` is its
    own.
    """
    made = built()
    python = "python" + ".".join(map(str, sys.version_info[:3]))
    return {
        "version": f"v{HEADSCALE}",
        "commit": made.commit,
        "buildTime": UNKNOWN,
        "go": {"version": python, "os": sys.platform, "arch": _architecture()},
        "dirty": made.dirty,
        "smartscale": made.version,
    }


def _architecture() -> str:
    """Return the machine's architecture by Go's name for it."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def commit_of(folder: Path, env: Mapping[str, str]) -> str:
    """Return the commit from the environment, the build record, or the checkout around this folder."""
    for text in (env.get(VARIABLE, ""), _read(folder / WRITTEN), _checked_out(folder.parents[1] / ".git")):
        if _COMMIT.match(text):
            return text
    return UNKNOWN


def _checked_out(git: Path) -> str:
    """Return the commit of a checkout, read as git keeps it: `HEAD` names a branch, or is the commit itself."""
    head = _read(git / "HEAD")
    if not head.startswith("ref: "):
        return head
    branch = head.removeprefix("ref: ")
    packed = (line.split(" ") for line in _read(git / "packed-refs").splitlines())
    return _read(git / branch) or next((words[0] for words in packed if words[1:] == [branch]), "")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
