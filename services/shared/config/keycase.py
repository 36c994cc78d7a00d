"""Names of keys in any case, as Headscale's reader takes them. Names that the operator chooses keep theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, get_origin

from services.shared.config.errors import ConfigProblem
from services.shared.config.source import Given, Tree, same
from services.shared.config.values import hints_of, is_section, key_of


def fold_keys(tree: Tree, kind: type, problems: list[ConfigProblem]) -> None:
    """Write the names of sections and keys in lower case."""
    tree.root = _folded(tree.root, kind, problems)


def _folded(section: dict[str, Given], kind: Any, problems: list[ConfigProblem]) -> dict[str, Given]:
    below = _below(kind)
    out: dict[str, Given] = {}
    for written, given in section.items():
        name = written.lower()
        inner, is_free = below(name)
        if isinstance(given.value, dict) and not is_free:
            given.value = _folded(given.value, inner, problems)
        if name in out and not same(out[name], given):
            remedy = f"keep one; the other is at {out[name].where}"
            problems.append(ConfigProblem(given.where, name, "is given twice, in other letters", remedy))
        out[name] = given
    return out


def _below(kind: Any) -> Callable[[str], tuple[Any, bool]]:
    """Return the type below a key, and whether its names are the operator's. Old sections have neither."""
    hints = {key_of(item): hints_of(kind)[item.name] for item in fields(kind)} if is_section(kind) else {}

    def below(name: str) -> tuple[Any, bool]:
        hint = hints.get(name)
        origin = get_origin(hint)
        return hint, isinstance(origin, type) and issubclass(origin, Mapping)

    return below
