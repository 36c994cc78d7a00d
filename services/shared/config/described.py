"""Every key with default, choices and meaning, from the fields and the texts below them: the one description of keys.

The page of the documentation and a complete example file are made from it.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import Field, dataclass, fields
from datetime import timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from services.shared.config.ignored_keys import IDLE
from services.shared.config.model import Config
from services.shared.config.spelling import duration_text
from services.shared.config.values import hints_of, is_section, key_of


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key of the file."""

    path: tuple[str, ...]
    default: str
    """As written in the file; empty: none, or derived from other keys."""
    meaning: str
    choices: tuple[str, ...] = ()
    secret: bool = False
    idle: bool = False
    """True if the key is accepted without effect."""

    @property
    def name(self) -> str:
        """The key with dots."""
        return ".".join(self.path)

    @property
    def section(self) -> str:
        """The first part; empty at the top level."""
        return self.path[0] if len(self.path) > 1 else ""


def described() -> list[KeyInfo]:
    """Return all keys, in the order of the file."""
    return list(_keys(Config, (), ""))


def _keys(kind: type, path: tuple[str, ...], above: str) -> Iterator[KeyInfo]:
    shown = [item for item in fields(kind) if not item.metadata.get("internal")]
    for item in shown:
        here, hint = (*path, key_of(item)), hints_of(kind)[item.name]
        text = _texts(kind).get(item.name, "")
        if is_section(hint):
            yield from _keys(hint, here, text)
            continue
        name = ".".join(here)
        meaning = text or (above if len(shown) == 1 else "")
        if name in IDLE and not meaning.startswith("No effect"):
            meaning = f"No effect: {IDLE[name].partition(';')[0]}."
        choices = tuple(filter(None, get_args(hint))) if get_origin(hint) is Literal else ()
        default = _written(_default(path, item), item)
        idle = meaning.startswith("No effect")
        yield KeyInfo(here, default, meaning, choices, bool(item.metadata.get("secret")), idle)


def _default(path: tuple[str, ...], item: Field[Any]) -> Any:
    """Return the value without a file. A section may have defaults of its own, as `services.registry` does."""
    value: Any = Config()
    for name in path:
        value = getattr(value, next(each.name for each in fields(value) if key_of(each) == name))
    return getattr(value, item.name)


@cache
def _texts(kind: type) -> dict[str, str]:
    """Return the texts that stand below the fields of a section and of those that it extends."""
    found: dict[str, str] = {}
    for one in reversed([each for each in kind.__mro__ if each is not object]):
        found.update(_texts_of_class(one))
    return found


def _texts_of_class(kind: type) -> Iterator[tuple[str, str]]:
    tree = ast.parse(inspect.getsource(inspect.getmodule(kind)))  # type: ignore[arg-type]  # each has a module
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    for field, below in pairwise(body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield field.target.id, re.sub(r"\s+", " ", str(below.value.value)).strip()


def _written(value: Any, item: Field[Any]) -> str:
    """Return a value as one writes it."""
    if item.metadata.get("mode"):
        return f"{value:04o}"
    match value:
        case None:
            return str(item.metadata.get("none", ""))
        case bool():
            return str(value).lower()
        case timedelta():
            return duration_text(value)
        case tuple():
            return f"[{', '.join(map(str, value))}]"
        case Path():
            return "" if value == Path() else str(value)
    return str(value)
