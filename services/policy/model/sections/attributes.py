"""The section `nodeAttrs` and the settings that are attributes of nodes by another name."""

from __future__ import annotations

import json

from services.policy.model.sections.names import NONROOT, Names, foreign_domain, literal
from services.policy.model.text.fields import FieldReader, Fields, known
from services.policy.model.text.tree import Value
from services.shared.access.compiled import ANYONE, Alias, AliasKind, Capability, NodeAttributes
from services.shared.access.ranges import span

_FIELDS = known("target", "attr", "ipPool", "app")
_POOL_SPACE = span("100.64.0.0/10")
_RESERVED = tuple(span(text) for text in ("100.100.0.0/24", "100.100.100.0/24", "100.115.92.0/23"))
_TARGETS = "[autogroup:member autogroup:tagged autogroup:owner autogroup:admin]"
_REFUSED_TARGETS = frozenset(
    {AliasKind.SELF, AliasKind.INTERNET, AliasKind.DANGER_ALL, AliasKind.SHARED, AliasKind.SERVICE}
)

RANDOMIZE_CLIENT_PORT = NodeAttributes((ANYONE,), ("randomize-client-port",), origin="randomizeClientPort")


class AttributeReader:
    """Reader of the node attributes of one document."""

    def __init__(self, reader: FieldReader, names: Names) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names = names

    def attributes(self, value: Value | None) -> list[NodeAttributes]:
        """Return the `nodeAttrs` section."""
        made = []
        for index, item in enumerate(self._reader.items(value, "nodeAttrs")):
            where = f"nodeAttrs[{index}]"
            fields = self._reader.fields(item, where, _FIELDS)
            if isinstance(item.data, tuple):
                made.append(self._entry(fields, where))
        return made

    def _entry(self, fields: Fields, where: str) -> NodeAttributes:
        attributes = []
        for item in self._reader.texts(fields.get("attr"), f"{where}.attr"):
            if item.data:
                attributes.append(str(item.data))
            else:
                self._findings.refuse(where, item.at, "attr cannot be empty")
        return NodeAttributes(
            target=self._targets(fields.get("target"), f"{where}.target"),
            attributes=tuple(attributes),
            app=self._app(fields.get("app"), f"{where}.app"),
            pools=self._pools(fields.get("ipPool"), f"{where}.ipPool"),
            origin=where,
        )

    def _targets(self, value: Value | None, where: str) -> tuple[Alias, ...]:
        targets = []
        for item in self._reader.texts(value, where):
            text = str(item.data)
            try:
                alias = None if text == NONROOT else self._names.alias(text, item.at)
            except ValueError as error:
                named = ":" in text or "@" in text
                self._findings.refuse(where, item.at, str(error) if named else f'"{text}": invalid address')
                continue
            if alias is None or alias.kind in _REFUSED_TARGETS or text.startswith("ipset:"):
                kind = {"svc": "services", "ipset": "ipsets"}.get(text.partition(":")[0], "this autogroup")
                message = f'nodeAttrs target does not support {kind}: "{text}", can be {_TARGETS}'
                self._findings.refuse(where, item.at, message)
                continue
            if alias.kind is AliasKind.DOMAIN and self._names.is_foreign(alias.name):
                self._findings.refuse(where, item.at, f"[nodeAttrs] {foreign_domain(alias.name)}")
            targets.append(alias)
        return tuple(targets)

    def _app(self, value: Value | None, where: str) -> tuple[Capability, ...]:
        made = []
        for entry in self._reader.entries(value, where):
            if entry.value.data is not None and not isinstance(entry.value.data, list):
                self._reader.wrong(entry.value, f'{where}["{entry.key}"]', "a list")
                continue
            values = self._reader.verbatim(entry.value, where)
            made.append(Capability(entry.key, json.dumps(values, ensure_ascii=False)))
        return tuple(made)

    def _pools(self, value: Value | None, where: str) -> tuple[str, ...]:
        pools = []
        for item in self._reader.texts(value, where):
            text = str(item.data)
            pool = literal(text)
            if pool is None:
                self._findings.refuse(where, item.at, f"IPPool({text}): not a prefix")
                continue
            first, last = span(pool)
            if first < _POOL_SPACE[0] or last > _POOL_SPACE[1]:
                self._findings.refuse(where, item.at, f"IPPool({text}): network not within 100.64.0.0/10")
            elif any(first <= reserved[1] and last >= reserved[0] for reserved in _RESERVED):
                self._findings.refuse(where, item.at, f"IPPool({text}): network within reserved range")
            else:
                pools.append(pool)
        return tuple(pools)
