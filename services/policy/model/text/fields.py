"""Typed access to the fields of a tree. A value of the wrong type becomes a finding, never an exception."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.policy.model.text.problems import Findings
from services.policy.model.text.tree import Number, ObjectMember, Plain, Value, to_json

Fields = dict[str, Value]
"""Fields of an object under the document's canonical spelling of their names."""


class FieldReader:
    """Reads typed values, and adds a finding for each of the wrong type."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def wrong(self, value: Value, where: str, expected: str) -> None:
        """Add an error for a value of the wrong type."""
        self.findings.refuse(where, value.at, f"expected {expected}, got {value.kind}")

    def fields(self, value: Value, where: str, known: Mapping[str, str], *, comments: bool = False) -> Fields:
        """Fields of an object; names match whatever their case. `known` maps lower case to the canonical name.

        With `comments`, names that start with `#` are left out: some editors keep their notes there.
        """
        found: Fields = {}
        seen: set[str] = set()
        if not isinstance(value.data, tuple):
            self.wrong(value, where, "an object")
            return found
        for entry in value.data:
            if comments and entry.key.startswith("#"):
                continue
            name = known.get(entry.key.lower())
            if name is None:
                self.findings.refuse(where, entry.at, f'unknown field: "{entry.key}"')
            elif name in seen:
                self.findings.refuse(where, entry.at, f'duplicate field: "{entry.key}"')
            elif entry.value.data is not None:
                found[name] = entry.value
            seen.add(name or "")
        return found

    def modern(self, value: Value, where: str, spellings: Mapping[str, str]) -> Value:
        """Return an object with old spellings of names made modern; both spellings in one object are refused."""
        if not isinstance(value.data, tuple):
            return value
        present = {entry.key.lower() for entry in value.data}
        entries: list[ObjectMember] = []
        for entry in value.data:
            modern = spellings.get(entry.key.lower())
            if modern is None:
                entries.append(entry)
            elif modern in present:
                message = f'both "{entry.key}" and "{modern}" in one rule: they are the same, keep "{modern}"'
                self.findings.refuse(where, entry.at, message)
            else:
                self.findings.warn(where, entry.at, f'"{entry.key}" is an old spelling, write "{modern}"')
                entries.append(ObjectMember(modern, entry.at, entry.value))
        return Value(tuple(entries), value.at)

    def entries(self, value: Value | None, where: str) -> Iterator[ObjectMember]:
        """Members of an object with free names; a name that comes twice is refused."""
        if value is None or value.data is None:
            return
        if not isinstance(value.data, tuple):
            self.wrong(value, where, "an object")
            return
        seen: set[str] = set()
        for entry in value.data:
            if entry.key in seen:
                self.findings.refuse(where, entry.at, f'duplicate key: "{entry.key}"')
                continue
            seen.add(entry.key)
            yield entry

    def items(self, value: Value | None, where: str) -> list[Value]:
        """Items of a list; absent and null are empty."""
        if value is None or value.data is None:
            return []
        if not isinstance(value.data, list):
            self.wrong(value, where, "a list")
            return []
        return value.data

    def texts(self, value: Value | None, where: str) -> list[Value]:
        """Items of a list of strings, trimmed."""
        found = []
        for index, item in enumerate(self.items(value, where)):
            if isinstance(item.data, str) and not isinstance(item.data, Number):
                found.append(Value(item.data.strip(), item.at))
            else:
                self.wrong(item, f"{where}[{index}]", "a string")
        return found

    def text(self, value: Value | None, where: str, *, number: bool = False) -> str | None:
        """Return a string, trimmed; None when absent. With `number`, a number counts as its text."""
        if value is None or value.data is None:
            return None
        if isinstance(value.data, str) and (number or not isinstance(value.data, Number)):
            return value.data.strip()
        self.wrong(value, where, "a string")
        return None

    def verbatim(self, value: Value, where: str) -> object:
        """Return a value of any shape as data for JSON; a name that comes twice in one of its objects is refused."""
        waiting = [value]
        while waiting:
            data = waiting.pop().data
            if isinstance(data, list):
                waiting.extend(data)
            elif isinstance(data, tuple):
                seen: set[str] = set()
                for entry in data:
                    if entry.key in seen:
                        self.findings.refuse(where, entry.at, f'duplicate key: "{entry.key}"')
                    seen.add(entry.key)
                    waiting.append(entry.value)
        return to_json(value)

    def flag(self, value: Value | None, where: str) -> bool:
        """Return a boolean; absent is false. YAML has `true` and `false` as text without quotes."""
        if value is None or value.data is None:
            return False
        if isinstance(value.data, bool):
            return value.data
        if isinstance(value.data, Plain) and value.data.lower() in ("true", "false"):
            return value.data.lower() == "true"
        self.wrong(value, where, "true or false")
        return False


def known(*names: str, **spellings: str) -> dict[str, str]:
    """Return the `known` table of `FieldReader.fields`; keyword arguments map old spellings to modern names."""
    return {name.lower(): name for name in names} | spellings
