"""Sources and destinations of an access rule: validation and classification."""

from __future__ import annotations

from collections.abc import Callable

from services.policy.model.sections.names import Names, foreign_domain
from services.policy.model.text.fields import FieldReader
from services.policy.model.text.tree import Value
from services.shared.access.compiled import Alias, AliasKind, End

_SELF_SOURCES = frozenset({AliasKind.USER, AliasKind.GROUP, AliasKind.MEMBER, AliasKind.ROLE, AliasKind.DOMAIN})
_SELF_RULE = "autogroup:self can only be used with users, groups, or supported autogroups"
_SOURCE_AUTOGROUPS = "[autogroup:member autogroup:tagged autogroup:danger-all]"


class Ends:
    """Parser of the ends of a document's access rules."""

    def __init__(self, reader: FieldReader, names: Names) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names = names
        self._known: dict[End, End] = {}

    def sources(self, value: Value | None, where: str) -> End:
        """Parse `src`; refused names are left out."""
        return self._all(value, where, self.source)

    def destinations(self, value: Value | None, where: str) -> End:
        """Parse `dst`; refused names are left out."""
        return self._all(value, where, self.destination)

    def _all(self, value: Value | None, where: str, read: Callable[[str, str, int], Alias | None]) -> End:
        found = (read(str(item.data), where, item.at) for item in self._reader.texts(value, where))
        end = End(alias for alias in found if alias is not None)
        return self._known.setdefault(end, end)

    def source(self, text: str, where: str, at: int) -> Alias | None:
        """Classify a source of an access rule. Returns None if it is refused."""
        if text == "autogroup:self":
            self._findings.refuse(where, at, '"autogroup:self" not valid on the src side of a rule')
            return None
        if text == "autogroup:internet":
            self._findings.refuse(where, at, "autogroup:internet can only be used in ACL destinations")
            return None
        if text == "autogroup:nonroot":
            message = f'autogroup not supported for ACL sources: "{text}", can be {_SOURCE_AUTOGROUPS}'
            self._findings.refuse(where, at, message)
            return None
        if text.startswith("svc:"):
            self._findings.refuse(where, at, f'service not supported as a source: "{text}"')
            return None
        try:
            alias = self._names.alias(text, at)
        except ValueError as error:
            self._findings.refuse(where, at, f"src={error}")
            return None
        self._check_domain(alias, where, at)
        return alias

    def destination(self, text: str, where: str, at: int) -> Alias | None:
        """Classify a destination of an access rule. Returns None if it is refused."""
        if text == "autogroup:danger-all":
            self._findings.refuse(where, at, "cannot use autogroup:danger-all as a dst")
            return None
        if text in ("autogroup:nonroot", "autogroup:shared"):
            message = (
                f'autogroup not supported for ACL destinations: "{text}", '
                "can be [autogroup:internet autogroup:member autogroup:tagged autogroup:self]"
            )
            self._findings.refuse(where, at, message)
            return None
        try:
            alias = self._names.alias(text, at)
        except ValueError as error:
            self._findings.refuse(where, at, f'dst="{text}": {error}')
            return None
        self._check_domain(alias, where, at)
        return alias

    def _check_domain(self, alias: Alias, where: str, at: int) -> None:
        if alias.kind is AliasKind.DOMAIN and self._names.is_foreign(alias.name):
            self._findings.refuse(where, at, f"[{where.partition('[')[0]}] {foreign_domain(alias.name)}")

    def check_self(self, source: tuple[Alias, ...], where: str, at: int, *, wildcard: bool) -> None:
        """Refuse a rule to `autogroup:self` whose sources are not people; `wildcard` lets `*` pass."""
        allowed = _SELF_SOURCES | {AliasKind.ANY} if wildcard else _SELF_SOURCES
        if any(alias.kind not in allowed for alias in source):
            self._findings.refuse(where, at, _SELF_RULE)
