"""Configurations read from a few keys, and their values by key."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import yaml

from services.shared.config import Config, load

URL = "https://headscale.example.com"
ATTRIBUTES = {"global": "global_", "pass": "password"}
"""Keys that Python has other uses for."""


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Sections in sections, from keys with dots."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *above, last = key.split(".")
        reduce(lambda level, name: level.setdefault(name, {}), above, tree)[last] = value
    return tree


def at(config: Config, key: str) -> Any:
    """The value of a key that is written with dots."""
    return reduce(lambda level, name: getattr(level, ATTRIBUTES.get(name, name)), key.split("."), config)


def from_file(folder: Path, flat: Mapping[str, Any]) -> Config:
    """A file with these keys, read."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(nested({"server_url": URL, **flat}), sort_keys=False))
    return load(path, {})


def value_at(config: Config, path: tuple[str, ...]) -> Any:
    """The value of a key that is a path."""
    return at(config, ".".join(path))
