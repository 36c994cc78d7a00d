"""Reader of YAML policies: every scalar is text, so that ports, times and words such as `on` stay what was written."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from services.policy.model.text.problems import SyntaxProblem
from services.policy.model.text.tree import Budget, ObjectMember, Plain, Value, check_text

_Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

MAX_ALIASES = 100
"""Maximum number of uses of anchors in one document."""

_BARE_WILDCARD = re.compile(r"(?:^|[\s\[,])\*(?=[:\s,\]]|$)", re.MULTILINE)
_NULLS = ("", "~", "null", "Null", "NULL")


def read_yaml(text: str) -> Value:
    """Read one document. Raises `SyntaxProblem`."""
    check_text(text, 0)
    try:
        return _Composer(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "it cannot be read"
        raise SyntaxProblem(f"invalid YAML: {problem}{_hint(text)}", mark.index if mark else 0) from None
    except yaml.YAMLError as error:
        message = str(error).splitlines()[0] if str(error) else "it cannot be read"
        raise SyntaxProblem(f"invalid YAML: {message}", 0) from None
    except (ValueError, RecursionError):
        raise SyntaxProblem("invalid YAML: it cannot be read", 0) from None


def _hint(text: str) -> str:
    if _BARE_WILDCARD.search(text):
        return '; in YAML a wildcard needs quotes: write "*" and "*:*"'
    return ""


def _at(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark else 0


class _Composer:
    """Composer of the tree from parser events, with bounds that the library's own composer lacks."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
        self._budget = Budget()
        self._anchors: dict[str, tuple[Value, int]] = {}
        self._aliases = 0

    def document(self) -> Value:
        event = self._next()
        while isinstance(event, (yaml.StreamStartEvent, yaml.DocumentStartEvent)):
            event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return Value(None, 0)
        value = self._value(event, 1)
        while not isinstance(event, yaml.StreamEndEvent):
            event = self._next()
            if isinstance(event, yaml.DocumentStartEvent):
                raise SyntaxProblem("more than one YAML document", _at(event))
        return value

    def _next(self) -> yaml.Event:
        event = next(self._events, None)
        if event is None:
            raise SyntaxProblem("invalid YAML: it ends too early", 0)
        return event

    def _value(self, event: yaml.Event, depth: int) -> Value:
        at = _at(event)
        self._budget.spend(at, depth)
        if isinstance(event, yaml.AliasEvent):
            return self._repeat(event, at, depth)
        if isinstance(event, yaml.ScalarEvent):
            value = Value(self._scalar(event), at)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = self._list(at, depth)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._object(at, depth)
        else:
            raise SyntaxProblem("invalid YAML: expected a value", at)
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            self._anchors[event.anchor] = value, depth
        return value

    @staticmethod
    def _scalar(event: yaml.ScalarEvent) -> str | None:
        text = str(event.value)
        if event.style not in (None, ""):
            return text
        return None if text in _NULLS else Plain(text)

    def _repeat(self, event: yaml.AliasEvent, at: int, depth: int) -> Value:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise SyntaxProblem(f"more than {MAX_ALIASES} uses of anchors", at)
        found = self._anchors.get(event.anchor or "")
        if found is None:
            raise SyntaxProblem(
                f'anchor "{event.anchor}" is not defined; in YAML a wildcard needs quotes: write "*" and "*:*"', at
            )
        self._charge(found[0], at, depth)
        return found[0]

    def _charge(self, value: Value, at: int, depth: int) -> None:
        """Count a repeated value as if it had been written out."""
        self._budget.spend(at, depth)
        if isinstance(value.data, list):
            for item in value.data:
                self._charge(item, at, depth + 1)
        elif isinstance(value.data, tuple):
            for entry in value.data:
                self._charge(entry.value, at, depth + 1)

    def _list(self, at: int, depth: int) -> Value:
        items: list[Value] = []
        event = self._next()
        while not isinstance(event, yaml.SequenceEndEvent):
            items.append(self._value(event, depth + 1))
            self._budget.check_length(len(items), at)
            event = self._next()
        return Value(items, at)

    def _object(self, at: int, depth: int) -> Value:
        entries: list[ObjectMember] = []
        event = self._next()
        while not isinstance(event, yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise SyntaxProblem("a name must be plain text", _at(event))
            key, place = str(event.value), _at(event)
            entries.append(ObjectMember(key, place, self._value(self._next(), depth + 1)))
            self._budget.check_length(len(entries), at)
            event = self._next()
        return Value(tuple(entries), at)
