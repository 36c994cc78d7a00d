"""The section `postures`: named lists of assertions that must all be true, and references to them in rules."""

from __future__ import annotations

import re

from services.policy.model.sections.names import Names
from services.policy.model.text.fields import FieldReader, Fields
from services.policy.model.text.tree import Value
from services.shared.access.compiled import Assertion, Posture
from services.shared.access.posture import VERSIONS

_ASSERTION = re.compile(
    r"(?P<attribute>[A-Za-z][\w:.\-]*)"
    r"(?:\s+(?P<state>(?i:IS\s+SET|NOT\s+SET))|\s*(?P<operator>==|!=|<=|>=|<|>|(?i:\bNOT\s+IN\b|\bIN\b))\s*(?P<value>.+))?",
    re.ASCII | re.DOTALL,
)
_QUOTED = re.compile(r"'([^']*)'")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_SIMPLE = re.compile(r"-?[0-9][\w.\-]*|true|false", re.ASCII)


class Postures:
    """Parser of a document's postures."""

    def __init__(self, reader: FieldReader, names: Names) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names = names
        self._default: tuple[str, ...] = ()

    def read(self, value: Value | None, default: Value | None) -> tuple[Posture, ...]:
        """Read `postures` and `defaultSrcPosture`."""
        made = []
        for entry in self._reader.entries(value, "postures"):
            where = f'postures["{entry.key}"]'
            if not entry.key.startswith("posture:") or entry.key == "posture:":
                self._findings.refuse("postures", entry.at, f"posture must start with 'posture:', got: \"{entry.key}\"")
                continue
            self._names.postures.add(entry.key)
            assertions = []
            for item in self._reader.texts(entry.value, where):
                assertion = parse_assertion(str(item.data))
                if assertion is None:
                    self._findings.refuse(where, item.at, f'invalid posture assertion: "{item.data}"')
                else:
                    assertions.append(assertion)
            if not assertions and isinstance(entry.value.data, list) and not entry.value.data:
                self._findings.refuse(where, entry.at, "a posture needs at least one assertion")
            made.append(Posture(entry.key, tuple(assertions)))
        self._default = self._list(default, "defaultSrcPosture")
        return tuple(made)

    def of(self, fields: Fields, where: str) -> tuple[str, ...]:
        """Return the postures that a rule requires of its sources: its `srcPosture`, else `defaultSrcPosture`."""
        given = fields.get("srcPosture")
        if given is None:
            return self._default
        if given.data == []:
            self._findings.refuse(f"{where}.srcPosture", given.at, "name at least one posture, or leave it out")
        return self._list(given, f"{where}.srcPosture")

    def _list(self, value: Value | None, where: str) -> tuple[str, ...]:
        found = []
        for item in self._reader.texts(value, where):
            name = str(item.data)
            if name not in self._names.postures:
                self._findings.refuse(where, item.at, f'posture not defined in policy: "{name}"')
            found.append(name)
        return tuple(found)


def parse_assertion(text: str) -> Assertion | None:
    """Read ``ATTRIBUTE OPERATOR VALUE``, ``ATTRIBUTE IS SET`` or a bare boolean attribute; None when it is neither."""
    found = _ASSERTION.fullmatch(text.strip())
    if found is None:
        return None
    attribute = found["attribute"]
    if found["state"]:
        return Assertion(attribute, " ".join(found["state"].upper().split()))
    if not found["operator"]:
        return Assertion(attribute, "==", ("true",))
    operator = " ".join(found["operator"].upper().split())
    values = _values(found["value"].strip(), many=operator.endswith("IN"))
    if values is None:
        return None
    if operator[0] in "<>" and attribute not in VERSIONS and not _NUMBER.fullmatch(values[0]):
        return None
    return Assertion(attribute, operator, values)


def _values(text: str, *, many: bool) -> tuple[str, ...] | None:
    if not many:
        one = _scalar(text)
        return None if one is None else (one,)
    if not (text.startswith("[") and text.endswith("]")):
        return None
    inside = text[1:-1].strip()
    found = [_scalar(part.strip()) for part in re.findall(r"'[^']*'|[^,]+", inside)] if inside else []
    values = tuple(value for value in found if value is not None)
    return values if values and len(values) == len(found) else None


def _scalar(text: str) -> str | None:
    if quoted := _QUOTED.fullmatch(text):
        return quoted[1]
    return text if _SIMPLE.fullmatch(text) else None
