"""From written values to typed ones, section by section: the dataclass tree that holds the configuration."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from services.shared.config.bounds import bounds_of
from services.shared.config.errors import ConfigProblem
from services.shared.config.source import Given, Scalar
from services.shared.config.spelling import (
    WrongValueError,
    parse_duration,
    parse_mode,
    parse_truth,
    split_list,
    split_mapping,
)

_GO_BOOLS = {**dict.fromkeys(("1", "t", "true"), True), **dict.fromkeys(("0", "f", "false"), False)}
"""The spellings of Go's strconv.ParseBool, by which Headscale reads a truth value among texts."""
_NEVER_BLANK = frozenset((bool, int, float, timedelta))
"""Types of which an empty text is no value: the default holds."""


@cache
def hints_of(section: type) -> dict[str, Any]:
    """Return the types of the fields of a section."""
    return get_type_hints(section)


def key_of(field: Field[Any]) -> str:
    """Return the name in the file of a field."""
    return str(field.metadata.get("key", field.name))


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


@cache
def is_section(kind: Any) -> bool:
    """Return whether a type is a section of its own."""
    return isinstance(kind, type) and is_dataclass(kind)


def section_of_mapping(hint: Any) -> type | None:
    """Return the section that a mapping holds under names of the operator's choice, if it holds sections."""
    origin, parts = get_origin(hint), get_args(hint)
    is_mapping = isinstance(origin, type) and issubclass(origin, Mapping)
    return parts[1] if is_mapping and is_section(parts[1]) else None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A key that no section has, where it stands, and the empty sections above it in the same section."""

    path: tuple[str, ...]
    given: Given
    empty_above: tuple[tuple[str, ...], ...] = ()


def _members(given: Given) -> Mapping[str, Given] | None:
    """Return the members of a mapping; an empty list counts as an empty one. None where it is something else."""
    value = split_mapping(given.value.text, given.where) if isinstance(given.value, Scalar) else given.value
    if value == []:
        return {}
    return value if isinstance(value, dict) else None


class SectionReader:
    """Reader of the typed tree; it collects problems and unknown keys with their places."""

    def __init__(self, base: Path, env: Mapping[str, str], problems: list[ConfigProblem]) -> None:
        self._base = base
        self._env = env
        self._problems = problems
        self.unknown: list[Unknown] = []
        self._reading: tuple[str, ...] = ()
        """The key that is being read, for what is wrong below it."""
        self.notes: list[str] = []
        """Warnings about single values where a section belongs."""

    def section(self, kind: type, given: Mapping[str, Given], path: tuple[str, ...] = (), default: Any = None) -> Any:
        """Read one section; what it does not give is as in `default`. A key without a value counts as not given."""
        known = {key_of(item): item for item in fields(kind) if not item.metadata.get("internal")}
        values: dict[str, Any] = {}
        empty_above: list[tuple[str, ...]] = []
        for name, below in given.items():
            item, here = known.get(name), (*path, name)
            if below.is_empty_section:
                empty_above.append(here)
            elif item is None:
                self.unknown.append(Unknown(here, below, tuple(empty_above)))
            else:
                self._field(kind, item, below, here, values)
        return kind(**values) if default is None else replace(default, **values)

    def _field(self, kind: type, item: Field[Any], below: Given, path: tuple[str, ...], values: dict[str, Any]) -> None:
        hint = hints_of(kind)[item.name]
        if is_section(hint):
            if isinstance(below.value, dict):
                values[item.name] = self.section(hint, below.value, path, _default(item))
            elif not below.is_blank and not self._switch(hint, item, below, path, values):
                names = ", ".join(key_of(one) for one in fields(hint) if not one.metadata.get("internal"))
                self._add(below, path, "has a value", f"put its keys below it, indented: {names}")
            return
        if below.is_blank and (hint in _NEVER_BLANK or get_origin(hint) is Literal):
            return
        self._reading = path
        try:
            if sections := section_of_mapping(hint):
                values[item.name] = self._sections(sections, below, path)
                return
            value = self._value(hint, below, item.metadata)
            for bound in bounds_of(kind).get(item.name, ()):
                bound.check(value)
            values[item.name] = value
        except WrongValueError as error:
            self._add(below, path, error.what, error.remedy)

    def _switch(
        self, hint: type, item: Field[Any], below: Given, path: tuple[str, ...], values: dict[str, Any]
    ) -> bool:
        """Read `logtail: false` as its `enabled`, and any other section that is turned off so as not given."""
        text = below.value.text.lower() if isinstance(below.value, Scalar) else ""
        name = ".".join(path)
        if text in ("true", "false") and "enabled" in hints_of(hint):
            below.value = {"enabled": Given(below.value, below.where)}
            values[item.name] = self.section(hint, below.value, path, _default(item))
            self.notes.append(f"{below.where}: {name} is a section — write {name}.enabled: {text}")
            return True
        if text == "false":
            self.notes.append(f"{below.where}: {name} is a section, and false for it is ignored — remove it")
        return text == "false"

    def _add(self, given: Given, path: tuple[str, ...], what: str, remedy: str) -> None:
        self._problems.append(ConfigProblem(given.where, ".".join(path), what, remedy))

    def _value(self, hint: Any, given: Given, metadata: Mapping[str, Any]) -> Any:
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            inner = next(kind for kind in get_args(hint) if kind is not type(None))
            if isinstance(given.value, Scalar) and given.value.text.strip().lower() in ("", metadata.get("none")):
                return None
            return self._value(inner, given, metadata)
        if origin is tuple:
            return self._list(get_args(hint)[0], given, metadata)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._mapping(get_args(hint)[1], given, metadata)
        if is_section(hint):
            if not isinstance(given.value, dict):
                raise WrongValueError("is not a mapping", "write `name: value` lines")
            above = self._reading
            try:
                return self.section(hint, given.value, above)
            finally:
                self._reading = above
        if not isinstance(given.value, Scalar):
            raise WrongValueError("is a list or a mapping", "write a single value")
        if origin is Literal:
            return self._choice(get_args(hint), given.value, metadata)
        if metadata.get("mode"):
            return parse_mode(given.value.text)
        return self._scalars[hint](self, given.value, metadata)

    def _list(self, kind: Any, given: Given, metadata: Mapping[str, Any]) -> tuple[Any, ...]:
        items = given.value
        if isinstance(items, Scalar):
            items = split_list(items.text, given.where)
        if items == {}:
            return ()
        if not isinstance(items, list):
            raise WrongValueError("is not a list", "write `- item` lines")
        return tuple(self._value(kind, item, metadata) for item in items if not item.is_null)

    def _mapping(self, kind: Any, given: Given, metadata: Mapping[str, Any]) -> dict[str, Any]:
        members = _members(given)
        if members is None:
            raise WrongValueError("is not a mapping", "write `name: value` lines")
        return {name: self._value(kind, item, metadata) for name, item in members.items() if not item.is_null}

    def _sections(self, kind: type, given: Given, path: tuple[str, ...]) -> dict[str, Any]:
        members = _members(given)
        if members is None:
            raise WrongValueError(
                "is not a mapping", "write each name on a line of its own, and its keys below it, indented"
            )
        out: dict[str, Any] = {}
        for name, below in members.items():
            if isinstance(below.value, dict):
                out[name] = self.section(kind, below.value, (*path, name))
            elif not below.is_null:
                self._add(below, (*path, name), "has a value", "put its keys below it, indented")
        return out

    def _choice(self, choices: tuple[str, ...], scalar: Scalar, metadata: Mapping[str, Any]) -> str:
        text = scalar.text.strip().lower()
        text = str(metadata.get("same", {}).get(text, text))
        chosen = next((choice for choice in choices if choice.lower() == text), None)
        if chosen is None:
            raise WrongValueError("is not a known value", "write one of " + ", ".join(filter(None, choices)))
        return chosen

    def _text(self, scalar: Scalar, metadata: Mapping[str, Any]) -> str:
        bools = metadata.get("bools")
        if bools:
            text = scalar.text.strip().lower()
            return str(bools[_GO_BOOLS[text]]) if text in _GO_BOOLS else text
        return scalar.text

    def _bool(self, scalar: Scalar, _metadata: Mapping[str, Any]) -> bool:
        return parse_truth(scalar.text)

    def _int(self, scalar: Scalar, _metadata: Mapping[str, Any]) -> int:
        try:
            return int(scalar.text)
        except ValueError:
            raise WrongValueError("is not a whole number", "write digits only") from None

    def _float(self, scalar: Scalar, _metadata: Mapping[str, Any]) -> float:
        try:
            return float(scalar.text)
        except ValueError:
            raise WrongValueError("is not a number", "write a number, as in 0.5") from None

    def _duration(self, scalar: Scalar, _metadata: Mapping[str, Any]) -> timedelta:
        try:
            return parse_duration(scalar.text)
        except ValueError:
            raise WrongValueError("is not a duration", "write a number with a unit, as in 90s, 3h or 180d") from None

    def _path(self, scalar: Scalar, _metadata: Mapping[str, Any]) -> Path:
        if not scalar.text:
            return Path()
        path = Path(Template(scalar.text).safe_substitute(self._env)).expanduser()
        return path if path.is_absolute() else self._base / path

    _scalars: Mapping[Any, Callable[[SectionReader, Scalar, Mapping[str, Any]], Any]] = {
        str: _text,
        bool: _bool,
        int: _int,
        float: _float,
        timedelta: _duration,
        Path: _path,
    }
