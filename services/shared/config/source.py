"""The configuration as it was written: a tree of values that each know their place. Owns YAML; knows no key.

JSON is read as the YAML that it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from services.shared.config.errors import ConfigProblem
from services.shared.documents.bounded import MAX_DEPTH, MAX_VALUES, DocumentError
from services.shared.file_rights import unreadable

_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as written; `kind` is what YAML takes it for: str, int, float, bool or null."""

    text: str
    kind: str = "str"


@dataclass(slots=True)
class Given:
    """A value and where it was given."""

    value: Scalar | list[Given] | dict[str, Given]
    where: str

    @property
    def is_null(self) -> bool:
        """True if nothing was written after the key."""
        return isinstance(self.value, Scalar) and self.value.kind == "null"

    @property
    def is_blank(self) -> bool:
        """True if it says nothing: null, an empty text, an empty list or an empty mapping."""
        return not (self.value.text if isinstance(self.value, Scalar) else self.value) or self.is_null

    @property
    def is_empty_section(self) -> bool:
        """True if it is null, or a section of nothing but such."""
        if isinstance(self.value, dict):
            return bool(self.value) and all(below.is_empty_section for below in self.value.values())
        return self.is_null


@dataclass(slots=True)
class Tree:
    """Sections and values by key."""

    root: dict[str, Given] = field(default_factory=dict)

    def find(self, path: tuple[str, ...]) -> Given | None:
        """Return the value at a path, if given."""
        at: Given | None = None
        level: object = self.root
        for name in path:
            if not isinstance(level, dict) or name not in level:
                return None
            at = level[name]
            level = at.value if at is not None else None
        return at

    def take(self, path: tuple[str, ...]) -> Given | None:
        """Remove and return the value at a path; sections left empty go with it."""
        found = self.find(path)
        if found is None:
            return None
        parent = self.root if len(path) == 1 else self._section(path[:-1])
        del parent[path[-1]]
        if len(path) > 1 and not parent:
            self.take(path[:-1])
        return found

    def put(self, path: tuple[str, ...], given: Given) -> None:
        """Set the value at a path, making sections on the way."""
        level = self.root
        for name in path[:-1]:
            below = level.get(name)
            if below is None or not isinstance(below.value, dict):
                below = level[name] = Given({}, given.where)
            assert isinstance(below.value, dict)
            level = below.value
        level[path[-1]] = given

    def leaves(self) -> Iterator[tuple[tuple[str, ...], Given]]:
        """Every value that is not a section, with its path."""
        yield from _leaves((), self.root)

    def _section(self, path: tuple[str, ...]) -> dict[str, Given]:
        found = self.find(path)
        assert found is not None and isinstance(found.value, dict)
        return found.value


def _leaves(path: tuple[str, ...], section: dict[str, Given]) -> Iterator[tuple[tuple[str, ...], Given]]:
    for name, given in section.items():
        if isinstance(given.value, dict):
            yield from _leaves((*path, name), given.value)
        else:
            yield (*path, name), given


def parse_file(path: Path, problems: list[ConfigProblem]) -> Tree:
    """Read a file; what cannot be read is added to the problems."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        what, remedy = unread(path)
        problems.append(ConfigProblem(str(path), "", what.removeprefix(f"{path} "), remedy))
        return Tree()
    try:
        node = next(yaml.compose_all(text, Loader=yaml.SafeLoader), None)  # of several documents the first, as in Go
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problems.append(ConfigProblem(f"{path}:{line}", "", *_in_words(str(getattr(error, "problem", "")))))
        return Tree()
    if node is None:
        return Tree()
    try:
        root = _Converter(str(path), problems).convert(node, 0)
    except DocumentError as error:
        problems.append(ConfigProblem(str(path), "", str(error), "write it with fewer anchors and levels"))
        return Tree()
    if not isinstance(root.value, dict):
        problems.append(ConfigProblem(f"{path}:1", "", "contains no keys", "write `key: value` lines"))
        return Tree()
    return Tree(root.value)


_WORDS = (
    ("character '\\t'", "is not YAML: a tab is used where YAML requires spaces", "indent with spaces"),
    ("cannot start any token", "is not YAML: a value begins with a reserved character", "put the value in quotes"),
    ("unexpected end of stream", "is not YAML: a quote is opened and not closed", "add the closing quote"),
    ("<block end>", "is not YAML: this line is indented differently from those around it", "indent them alike"),
    ("mapping values are not allowed", "is not YAML: a value contains a colon and a space", "put the value in quotes"),
    ("could not find expected ':'", "is not YAML: a key without a colon", "write `key: value`"),
    ("undefined alias", "is not YAML: a value begins with *", "put the value in quotes"),
    ("',' or ']'", "is not YAML: a list is opened with [ and not closed", "add the ]"),
    ("',' or '}'", "is not YAML: a mapping is opened with { and not closed", "add the }"),
)
"""Statements and remedies by parts of libyaml's messages."""


def _in_words(problem: str) -> tuple[str, str]:
    """Return a statement and a remedy for a message of the YAML reader."""
    found = next(((what, remedy) for part, what, remedy in _WORDS if part in problem), None)
    return found or (f"is not YAML: {problem or 'unreadable'}", "check indentation and quotes around this line")


def unread(path: Path) -> tuple[str, str]:
    """Return why a file could not be read, and the remedy."""
    return unreadable(path) or (f"{path} is not UTF-8 text", "save it as UTF-8")


class _Converter:
    """Converter of YAML nodes into values with places. Anchors may repeat nodes, so it limits the number of values."""

    def __init__(self, file: str, problems: list[ConfigProblem]) -> None:
        self._file = file
        self._problems = problems
        self._made = 0

    def convert(self, node: yaml.Node, depth: int) -> Given:
        """Return the value of a node.

        Raises:
            DocumentError: there is too much of it, or it is nested too deeply.
        """
        self._made += 1
        if self._made > MAX_VALUES or depth > MAX_DEPTH:
            raise DocumentError("is too large or nested too deeply")
        where = f"{self._file}:{node.start_mark.line + 1}"
        if isinstance(node, yaml.MappingNode):
            return Given(self._section(node, depth), where)
        if isinstance(node, yaml.SequenceNode):
            return Given([self.convert(item, depth + 1) for item in node.value], where)
        return Given(Scalar(str(node.value), node.tag.rpartition(":")[2]), where)

    def _section(self, node: yaml.MappingNode, depth: int) -> dict[str, Given]:
        section: dict[str, Given] = {}
        merged: dict[str, Given] = {}
        for key, below in node.value:
            if key.tag == _MERGE:
                self._merge(merged, below, depth)
                continue
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            given = self.convert(below, depth + 1)
            given.where = f"{self._file}:{key.start_mark.line + 1}"
            if name in section and not same(section[name], given):
                other = section[name].where
                problem = ConfigProblem(given.where, name, "is given twice", f"keep one; the other is at {other}")
                self._problems.append(problem)
            section[name] = given
        return {**merged, **section}

    def _merge(self, merged: dict[str, Given], below: yaml.Node, depth: int) -> None:
        """`<<`: keys of other mappings, which the section's own override."""
        for part in below.value if isinstance(below, yaml.SequenceNode) else [below]:
            given = self.convert(part, depth + 1)
            for name, value in given.value.items() if isinstance(given.value, dict) else ():
                merged.setdefault(name, value)


def same(one: Given, other: Given) -> bool:
    """Return whether two values are alike, wherever they stand."""
    if isinstance(one.value, dict) and isinstance(other.value, dict):
        return one.value.keys() == other.value.keys() and all(
            same(value, other.value[name]) for name, value in one.value.items()
        )
    if isinstance(one.value, list) and isinstance(other.value, list):
        return len(one.value) == len(other.value) and all(map(same, one.value, other.value))
    return one.value == other.value
