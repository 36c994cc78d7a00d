"""The sections `tests` and `sshTests` as data. Names in them are resolved when the tests run."""

from __future__ import annotations

from dataclasses import dataclass

from services.policy.model.text.fields import FieldReader, known
from services.policy.model.text.tree import Value, to_json

FAILED = "test(s) failed"
"""The hosted service's whole answer."""

_FIELDS = known("src", "proto", "accept", "deny", "srcPostureAttrs")
_LEGACY = {"user": "src", "allow": "accept"}
_SSH_FIELDS = known("src", "dst", "accept", "check", "deny", "srcPostureAttrs")

Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AccessTest:
    """Destinations that a source must, or must not, reach."""

    source: str
    protocol: str = ""
    accept: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    attributes: Attributes | None = None
    """Posture attributes of the source; None means those that its nodes have."""


@dataclass(frozen=True, slots=True)
class SshTest:
    """Local users as which a source may, or may not, log in."""

    source: str
    destination: tuple[str, ...]
    accept: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    attributes: Attributes | None = None


class TestReader:
    """Reader of the test sections of one document."""

    __test__ = False

    def __init__(self, reader: FieldReader) -> None:
        self._reader = reader

    def tests(self, value: Value | None) -> tuple[AccessTest, ...]:
        """Return the `tests` section."""
        made = []
        for index, item in enumerate(self._reader.items(value, "tests")):
            where = f"tests[{index}]"
            fields = self._reader.fields(self._reader.modern(item, where, _LEGACY), where, _FIELDS)
            made.append(
                AccessTest(
                    self._reader.text(fields.get("src"), where) or "",
                    self._reader.text(fields.get("proto"), where, number=True) or "",
                    self._texts(fields.get("accept"), f"{where}.accept"),
                    self._texts(fields.get("deny"), f"{where}.deny"),
                    self._attributes(fields.get("srcPostureAttrs"), f"{where}.srcPostureAttrs"),
                )
            )
        return tuple(made)

    def ssh_tests(self, value: Value | None) -> tuple[SshTest, ...]:
        """Return the `sshTests` section."""
        made = []
        for index, item in enumerate(self._reader.items(value, "sshTests")):
            where = f"sshTests[{index}]"
            fields = self._reader.fields(item, where, _SSH_FIELDS)
            made.append(
                SshTest(
                    self._reader.text(fields.get("src"), where) or "",
                    self._texts(fields.get("dst"), f"{where}.dst"),
                    self._texts(fields.get("accept"), f"{where}.accept"),
                    self._texts(fields.get("check"), f"{where}.check"),
                    self._texts(fields.get("deny"), f"{where}.deny"),
                    self._attributes(fields.get("srcPostureAttrs"), f"{where}.srcPostureAttrs"),
                )
            )
        return tuple(made)

    def _texts(self, value: Value | None, where: str) -> tuple[str, ...]:
        return tuple(str(item.data) for item in self._reader.texts(value, where))

    def _attributes(self, value: Value | None, where: str) -> Attributes | None:
        if value is None or value.data is None:
            return None
        found = []
        for entry in self._reader.entries(value, where):
            data = to_json(entry.value)
            if isinstance(data, bool):
                data = "true" if data else "false"
            if not isinstance(data, (str, int, float)):
                self._reader.wrong(entry.value, where, "text, a number, true or false")
                continue
            found.append((entry.key, str(data)))
        return tuple(sorted(found))
