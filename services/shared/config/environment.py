"""`HEADSCALE_*` variables: one for every key, and `…_FILE` for secrets. They win over the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from services.shared.config.errors import Problem
from services.shared.config.legacy import LEGACY_KEYS
from services.shared.config.model import Config
from services.shared.config.source import Given, Scalar, Tree
from services.shared.config.values import hints_of, is_section, key_of

PREFIX = "HEADSCALE_"

_NOT_KEYS = frozenset(("HEADSCALE_CONFIG", "HEADSCALE_TEST_HTTP"))
_FOREIGN = ("HEADSCALE_DEBUG_", "HEADSCALE_PORT", "HEADSCALE_SERVICE_", "HEADSCALE_EXPERIMENTAL_")
"""Variables that Headscale or Kubernetes set for other ends."""


def keys(kind: Any = Config, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Every key of the configuration, and whether it is a secret."""
    for item in fields(kind):
        if item.metadata.get("internal"):
            continue
        here = (*path, key_of(item))
        hint = hints_of(kind)[item.name]
        if is_section(hint):
            yield from keys(hint, here)
        else:
            yield here, bool(item.metadata.get("secret"))


def variable(path: tuple[str, ...]) -> str:
    """The name of the variable for a key."""
    return PREFIX + "_".join(path).upper()


def apply_environment(tree: Tree, env: Mapping[str, str], problems: list[Problem]) -> list[str]:
    """Put the variables over what the file gave; returns warnings."""
    known = set(_NOT_KEYS)
    for path, secret in (*keys(), *((path, False) for path in LEGACY_KEYS)):
        name = variable(path)
        known.update((name, f"{name}_FILE") if secret else (name,))
        text = env.get(name)
        if secret and not text and (file := env.get(f"{name}_FILE")):
            text = _read_secret(file, f"{name}_FILE", path, problems)
            name = f"{name}_FILE"
        if text:  # an empty variable, as compose files make them, is as if unset
            tree.put(path, Given(Scalar(text), f"environment {name}"))
    strange = sorted(name for name in env if name.startswith(PREFIX) and name not in known)
    return [f"environment {name}: no such key" for name in strange if not name.startswith(_FOREIGN)]


def _read_secret(file: str, name: str, path: tuple[str, ...], problems: list[Problem]) -> str | None:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        problems.append(
            Problem(
                f"environment {name}", ".".join(path), "names a file that cannot be read", "check path and permissions"
            )
        )
        return None
