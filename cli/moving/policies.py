"""Finds the policy for an import: the named file, else the source of the configuration."""

from __future__ import annotations

from pathlib import Path

from cli.policy.files import read_file
from services.shared.config.model import Config
from services.shared.imported import ImportedPolicy, Installation


def choose(config: Config, given: str, found: Installation) -> ImportedPolicy | None:
    """Return the policy to take over; what is not used is noted.

    Raises:
        CommandError: the file that is named cannot be read.
    """
    path = config.policy.path
    in_file = config.policy.mode == "file"
    if given:
        if in_file and path is not None and Path(given).resolve() != path.resolve():
            found.problems.add(
                "policy", given, "policy.mode is file", f"not stored: the server reads {path}; copy the file there"
            )
        return ImportedPolicy(text=read_file(given), origin=given, name=Path(given).name)
    if in_file and path is not None:
        if found.policy is not None:
            found.problems.add("policy", "database", "policy.mode is file", f"left out: the server reads {path}")
        if not path.is_file():
            what = f"there is no {path}, which policy.path names"
            found.problems.add("policy", path, what, "nothing is allowed until it is there")
            return None
        return ImportedPolicy(text=read_file(str(path)), origin=str(path), name=path.name)
    if in_file and found.policy is not None:
        what = "policy.mode is file without a path, which allows everything"
        found.problems.add("policy", "database", what, "left out; policy.mode: database takes it over")
        return None
    return found.policy
