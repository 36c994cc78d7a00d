"""The section `acls`: each rule becomes one grant for each destination."""

from __future__ import annotations

from services.policy.model.sections.ports import ALL_PORTS, check_ports, parse_ports, parse_protocol, split_destination
from services.policy.model.sections.postures import Postures
from services.policy.model.sections.src_dst import Ends
from services.policy.model.text.fields import FieldReader, Fields, known
from services.policy.model.text.tree import Value
from services.shared.access.compiled import Alias, AliasKind, Grant, NetworkAccess

_FIELDS = known("action", "proto", "src", "dst", "srcPosture")
_LEGACY_FIELDS = {"users": "src", "ports": "dst"}
_AUTOGROUP_KINDS = frozenset(
    {AliasKind.MEMBER, AliasKind.TAGGED, AliasKind.SELF, AliasKind.INTERNET, AliasKind.ROLE, AliasKind.DANGER_ALL}
)


class AclReader:
    """Reader of the access rules of one document."""

    def __init__(self, reader: FieldReader, ends: Ends, postures: Postures) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._ends = ends
        self._postures = postures

    def read(self, value: Value | None) -> list[Grant]:
        """Return the section as grants."""
        made: list[Grant] = []
        for index, item in enumerate(self._reader.items(value, "acls")):
            made.extend(self._acl(item, f"acls[{index}]"))
        return made

    def _acl(self, item: Value, where: str) -> list[Grant]:
        modern = self._reader.modern(item, where, _LEGACY_FIELDS)
        fields = self._reader.fields(modern, where, _FIELDS, comments=True)
        if not fields and not isinstance(item.data, tuple):
            return []
        action = self._reader.text(fields.get("action"), where) or ""
        if action != "accept":
            at = fields["action"].at if "action" in fields else item.at
            self._findings.refuse(where, at, f'action="{action}" is not supported: invalid ACL action')
        protocols, name = self._protocol(fields, where)
        source = self._ends.sources(fields.get("src"), f"{where}.src")
        postures = self._postures.of(fields, where)
        made: list[Grant] = []
        for destination in self._reader.texts(fields.get("dst"), f"{where}.dst"):
            alias, ports = self._destination(destination, f"{where}.dst", protocols, name)
            if alias is None:
                continue
            if alias.kind is AliasKind.SELF:
                self._ends.check_self(source, f"{where}.src", item.at, wildcard=True)
            made.append(Grant(source, (alias,), (NetworkAccess(protocols, ports),), postures=postures, origin=where))
        if any(grant.destination[0].kind not in _AUTOGROUP_KINDS for grant in made):
            made.sort(key=lambda grant: grant.destination[0].kind is AliasKind.SELF)
        return made

    def _protocol(self, fields: Fields, where: str) -> tuple[tuple[int, ...], str]:
        text = self._reader.text(fields.get("proto"), f"{where}.proto", number=True)
        if not text:
            return (), ""
        try:
            return (parse_protocol(text),), text
        except ValueError as error:
            self._findings.refuse(where, fields["proto"].at, str(error))
            return (), ""

    def _destination(
        self, item: Value, where: str, protocols: tuple[int, ...], name: str
    ) -> tuple[Alias | None, tuple[tuple[int, int], ...]]:
        text = str(item.data)
        ports = ALL_PORTS
        try:
            host, port_text = split_destination(text)
            ports = parse_ports(port_text)
            if protocols:
                check_ports(protocols[0], name, ports)
        except ValueError as error:
            self._findings.refuse(where, item.at, f'dst="{text}": {error}')
            return None, ports
        return self._ends.destination(host, where, item.at), ports
