"""`headscale dumpConfig`: the whole configuration as it is in force, defaults included, without secrets."""

from __future__ import annotations

import argparse
import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

from cli.output import emit
from cli.parser import declare_hidden
from cli.remote import configuration

_MASK = "********"


def declare(nouns: Any) -> None:
    """Add the command, which help does not show, as Headscale's does not."""
    declare_hidden(nouns, "dumpConfig", _dump, ("dump-config",))


def _dump(arguments: argparse.Namespace) -> None:
    emit(plain(configuration(arguments)), arguments.output or "yaml")


def plain(section: Any) -> dict[str, Any]:
    """A section as it would be written; secrets are masked."""
    written: dict[str, Any] = {}
    for field in dataclasses.fields(section):
        if field.metadata.get("internal"):
            continue
        value = getattr(section, field.name)
        name = str(field.metadata.get("key", field.name))
        if field.metadata.get("secret"):
            written[name] = _MASK if value else ""
        elif field.metadata.get("mode"):
            written[name] = f"{value:04o}"
        else:
            written[name] = _value(value)
    return written


def _value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return plain(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {str(name): _value(item) for name, item in value.items()}
    if isinstance(value, (tuple, list, frozenset, set)):
        return [_value(item) for item in value]
    return value
