"""The section `ipsets`: named sets of addresses, each the outcome of additions and removals in order."""

from __future__ import annotations

from services.policy.model.sections.names import Names, literal
from services.policy.model.text.fields import FieldReader
from services.policy.model.text.tree import ObjectMember, Value
from services.shared.access.ranges import INTERNET, Span, Spans, coalesce, overlap, show, span, subtract

MAX_IPSET_STEPS = 500
"""Maximum number of alternations between adding and removing in one ipset."""
MAX_IPSET_RANGES = 200_000
"""Ranges of all ipsets together."""


class IpsetReader:
    """Reader of the ipsets of one document, into its `Names`."""

    def __init__(self, reader: FieldReader, names: Names) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names = names
        self._ipset_room = MAX_IPSET_RANGES

    def read(self, value: Value | None) -> None:
        """Read `ipsets`: each a list of additions and removals, in order."""
        definitions: dict[str, ObjectMember] = {}
        for entry in self._reader.entries(value, "ipsets"):
            if not entry.key.startswith("ipset:") or entry.key == "ipset:":
                self._findings.refuse("ipsets", entry.at, f"ipset must start with 'ipset:', got: \"{entry.key}\"")
                continue
            definitions[entry.key] = entry
        done: dict[str, Spans] = {}
        self._names.internet_sets.add("autogroup:internet")
        for name in definitions:
            self._ipset(name, definitions, done, ())
        self._names.ipsets = {name: tuple(show(part) for part in spans) for name, spans in done.items()}

    def _ipset(
        self, name: str, definitions: dict[str, ObjectMember], done: dict[str, Spans], above: tuple[str, ...]
    ) -> Spans:
        if name in done or self._ipset_room < 0:
            return done.get(name, ())
        entry = definitions[name]
        where = f'ipsets["{name}"]'
        if name in above or len(above) > 30:
            self._findings.refuse(where, entry.at, "ipsets cannot contain each other in a circle")
            return ()
        items = self._reader.texts(entry.value, where)
        spans, is_internet = self._ipset_steps(where, items, definitions, done, (*above, name))
        if is_internet:
            self._names.internet_sets.add(name)
        self._ipset_room -= len(spans)
        if self._ipset_room < 0:
            self._findings.refuse(where, entry.at, f"ipsets have more than {MAX_IPSET_RANGES} ranges in all")
            spans = ()
        done[name] = spans
        return spans

    def _ipset_steps(
        self,
        where: str,
        items: list[Value],
        definitions: dict[str, ObjectMember],
        done: dict[str, Spans],
        above: tuple[str, ...],
    ) -> tuple[Spans, bool]:
        """Apply additions and removals; adjacent ones of a kind are one step. Also returns whether internet is left."""
        removes = any(str(item.data).startswith("remove ") for item in items)
        steps: list[tuple[str, list[Span]]] = []
        internet: set[int] = set()
        for item in items:
            text = str(item.data)
            verb, _, target = text.partition(" ")
            if verb not in ("add", "remove"):
                verb, target = "add", text
                if removes:
                    self._findings.refuse(where, item.at, f'"{text}": write add or remove in a set that removes')
                    continue
            found = self._ipset_target(target.strip(), definitions, done, above)
            if found is None:
                self._findings.refuse(where, item.at, f'invalid ipset target: "{text}"')
                continue
            if not steps or steps[-1][0] != verb:
                steps.append((verb, []))
            steps[-1][1].extend(found)
            if target.strip() in self._names.internet_sets:
                internet.add(len(steps) - 1)
            if len(steps) > MAX_IPSET_STEPS or len(steps[-1][1]) > MAX_IPSET_RANGES:
                message = f"more than {MAX_IPSET_STEPS} turns between add and remove, or {MAX_IPSET_RANGES} ranges"
                self._findings.refuse(where, item.at, message)
                return (), False
        spans: Spans = ()
        is_internet = False
        for number, (verb, found_spans) in enumerate(steps):
            step = coalesce(found_spans)
            if verb == "add":
                spans = coalesce([*spans, *step])
                is_internet = is_internet or number in internet
            else:
                spans = subtract(spans, step)
                is_internet = is_internet and overlap(spans, INTERNET)
        return spans, is_internet

    def _ipset_target(
        self, text: str, definitions: dict[str, ObjectMember], done: dict[str, Spans], above: tuple[str, ...]
    ) -> Spans | None:
        if text == "autogroup:internet":
            return INTERNET
        if text in definitions:
            return self._ipset(text, definitions, done, above)
        if text.startswith("host:"):
            address = self._names.hosts.get(text.removeprefix("host:"))
        else:
            address = literal(text) or _range(text)
        return (span(address),) if address is not None else None


def _range(text: str) -> str | None:
    """Return the canonical form of ``first-last``, or None if the text is not one."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash or literal(first) is None or literal(last) is None or "/" in text:
        return None
    try:
        return show(span(f"{first}-{last}"))
    except ValueError:
        return None
