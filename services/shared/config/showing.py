"""The configuration as it may be shown: every key, secrets masked. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from services.shared.config.model import Config
from services.shared.config.values import key_of

MASK = "***"
_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_IN_QUERY = re.compile(r"(?<=[?&])([^=&#\s]*(?:secret|token|password|key|auth)[^=&#\s]*)=[^&#\s]*", re.IGNORECASE)
_SECRET_NAME = re.compile(r"secret|token|passw|key|credential|authorization", re.IGNORECASE)


def shown(config: Config) -> dict[str, object]:
    """Return all keys as they are written in the file, with their values in force."""
    return _section(config)


def masked(text: str) -> str:
    """Return a text without what stands in the place of secrets in a URL."""
    return _IN_QUERY.sub(rf"\1={MASK}", _USERINFO.sub(f"{MASK}@", text))


def _section(section: Any) -> dict[str, object]:
    out: dict[str, object] = {}
    for field in fields(section):
        if field.metadata.get("internal"):
            continue
        value = getattr(section, field.name)
        if field.metadata.get("secret"):
            out[key_of(field)] = MASK if value else ""
        elif field.metadata.get("mode"):
            out[key_of(field)] = f"{value:04o}"
        elif value is None and "none" in field.metadata:
            out[key_of(field)] = field.metadata["none"]
        else:
            out[key_of(field)] = _value(value)
    return out


def _member(name: str, value: object) -> object:
    """Return one of a free mapping such as `oidc.extra_params`, where any name may hold a secret."""
    return MASK if isinstance(value, str) and value and _SECRET_NAME.search(name) else _value(value)


def _value(value: object) -> object:
    if is_dataclass(value):
        return _section(value)
    if isinstance(value, Mapping):
        return {str(name): _member(str(name), one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_value(one) for one in value]
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, Path):
        return "" if value == Path() else masked(str(value))
    if isinstance(value, str):
        return masked(value)
    return value
