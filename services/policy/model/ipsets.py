"""The section `ipsets`: each a list of additions and removals, in order, that may name other ones."""

from __future__ import annotations

from services.policy.model.fields import FieldReader
from services.policy.model.names import Names, literal
from services.policy.model.tree import Entry, Value
from services.shared.access.ranges import INTERNET, Span, Spans, coalesce, show, span, subtract

MAX_STEPS = 500
"""Turns between adding and removing in one ipset."""
MAX_RANGES = 200_000
"""Ranges of all ipsets together."""


class IpSets:
    """Reads the ipsets of one document."""

    def __init__(self, reader: FieldReader, names: Names) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names = names
        self._room = MAX_RANGES

    def read(self, value: Value | None) -> None:
        """Read all of them into the names of the document."""
        definitions: dict[str, Entry] = {}
        for entry in self._reader.entries(value, "ipsets"):
            if not entry.key.startswith("ipset:") or entry.key == "ipset:":
                self._findings.refuse("ipsets", entry.at, f"ipset must start with 'ipset:', got: \"{entry.key}\"")
                continue
            definitions[entry.key] = entry
        done: dict[str, Spans] = {}
        for name in definitions:
            self._spans(name, definitions, done, ())
        self._names.ipsets = {name: tuple(show(part) for part in spans) for name, spans in done.items()}

    def _spans(self, name: str, definitions: dict[str, Entry], done: dict[str, Spans], above: tuple[str, ...]) -> Spans:
        if name in done or self._room < 0:
            return done.get(name, ())
        entry = definitions[name]
        where = f'ipsets["{name}"]'
        if name in above or len(above) > 30:
            self._findings.refuse(where, entry.at, "ipsets cannot contain each other in a circle")
            return ()
        items = self._reader.texts(entry.value, where)
        spans = self._steps(where, items, definitions, done, (*above, name))
        self._room -= len(spans)
        if self._room < 0:
            self._findings.refuse(where, entry.at, f"ipsets have more than {MAX_RANGES} ranges in all")
            spans = ()
        done[name] = spans
        return spans

    def _steps(
        self,
        where: str,
        items: list[Value],
        definitions: dict[str, Entry],
        done: dict[str, Spans],
        above: tuple[str, ...],
    ) -> Spans:
        """Carry out additions and removals; neighbouring ones of a kind are one step."""
        removes = any(str(item.data).startswith("remove ") for item in items)
        steps: list[tuple[str, list[Span]]] = []
        for item in items:
            text = str(item.data)
            verb, _, target = text.partition(" ")
            if verb not in ("add", "remove"):
                verb, target = "add", text
                if removes:
                    self._findings.refuse(where, item.at, f'"{text}": write add or remove in a set that removes')
                    continue
            found = self._target(target.strip(), definitions, done, above)
            if found is None:
                self._findings.refuse(where, item.at, f'invalid ipset target: "{text}"')
                continue
            if not steps or steps[-1][0] != verb:
                steps.append((verb, []))
            steps[-1][1].extend(found)
            if len(steps) > MAX_STEPS or len(steps[-1][1]) > MAX_RANGES:
                message = f"more than {MAX_STEPS} turns between add and remove, or {MAX_RANGES} ranges"
                self._findings.refuse(where, item.at, message)
                return ()
        spans: Spans = ()
        for verb, found_spans in steps:
            step = coalesce(found_spans)
            spans = coalesce([*spans, *step]) if verb == "add" else subtract(spans, step)
        return spans

    def _target(
        self, text: str, definitions: dict[str, Entry], done: dict[str, Spans], above: tuple[str, ...]
    ) -> Spans | None:
        if text == "autogroup:internet":
            return INTERNET
        if text in definitions:
            return self._spans(text, definitions, done, above)
        address = self._names.hosts.get(text.removeprefix("host:")) if text.startswith("host:") else literal(text)
        return (span(address),) if address is not None else None
