"""The sections `acls` and `grants`: who may reach whom, compiled to one list of grants."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from services.policy.model.fields import FieldReader, Fields, known
from services.policy.model.names import Names, foreign_domain
from services.policy.model.ports import (
    ALL_PORTS,
    check_ports,
    parse_ports,
    parse_protocol,
    split_destination,
)
from services.policy.model.sections import Sections
from services.policy.model.tree import Value
from services.shared.access.compiled import Alias, AliasKind, Capability, Grant, NetworkAccess

_ACL_FIELDS = known("action", "proto", "src", "dst", "srcPosture")
_LEGACY_ACL_FIELDS = {"users": "src", "ports": "dst"}
_GRANT_FIELDS = known("src", "dst", "ip", "app", "via", "srcPosture")

_AUTOGROUP_KINDS = frozenset(
    {AliasKind.MEMBER, AliasKind.TAGGED, AliasKind.SELF, AliasKind.INTERNET, AliasKind.ROLE, AliasKind.DANGER_ALL}
)
_SELF_SOURCES = frozenset({AliasKind.USER, AliasKind.GROUP, AliasKind.MEMBER, AliasKind.ROLE, AliasKind.DOMAIN})
_OWN_CAPABILITIES = frozenset(
    f"tailscale.com/cap/{name}" for name in ("drive", "relay", "webui", "kubernetes", "tsidp", "secrets")
)
_CAPABILITY = re.compile(r"[^/:\s]+/\S+")
_SELF_RULE = "autogroup:self can only be used with users, groups, or supported autogroups"
_SOURCE_AUTOGROUPS = "[autogroup:member autogroup:tagged autogroup:danger-all]"


class RuleReader:
    """Reads access rules of one document."""

    def __init__(
        self,
        reader: FieldReader,
        names: Names,
        sections: Sections,
        default_postures: tuple[str, ...],
    ) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names = names
        self._sections = sections
        self._default_postures = default_postures

    # acls

    def acls(self, value: Value | None) -> list[Grant]:
        """Grants of the `acls` section: one per destination."""
        made: list[Grant] = []
        for index, item in enumerate(self._reader.items(value, "acls")):
            made.extend(self._acl(item, f"acls[{index}]"))
        return made

    def _acl(self, item: Value, where: str) -> list[Grant]:
        modern = self._reader.modern(item, where, _LEGACY_ACL_FIELDS)
        fields = self._reader.fields(modern, where, _ACL_FIELDS, comments=True)
        if not fields and not isinstance(item.data, tuple):
            return []
        action = self._reader.text(fields.get("action"), where) or ""
        if action != "accept":
            at = fields["action"].at if "action" in fields else item.at
            self._findings.refuse(where, at, f'action="{action}" is not supported: invalid ACL action')
        protocols, name = self._protocol(fields, where)
        source = self._aliases(fields.get("src"), f"{where}.src", self.source)
        postures = self._postures(fields, where)
        made: list[Grant] = []
        for destination in self._reader.texts(fields.get("dst"), f"{where}.dst"):
            alias, ports = self._destination(destination, f"{where}.dst", protocols, name)
            if alias is None:
                continue
            if alias.kind is AliasKind.SELF:
                self._check_self(source, f"{where}.src", item.at, wildcard=True)
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
        return self.destination(host, where, item.at), ports

    # grants

    def grants(self, value: Value | None) -> list[Grant]:
        """The `grants` section."""
        made = []
        for index, item in enumerate(self._reader.items(value, "grants")):
            where = f"grants[{index}]"
            fields = self._reader.fields(item, where, _GRANT_FIELDS)
            if isinstance(item.data, tuple):
                made.append(self._grant(fields, item, where))
        return made

    def _grant(self, fields: Fields, item: Value, where: str) -> Grant:
        source = self._aliases(fields.get("src"), f"{where}.src", self.source)
        destination = self._aliases(fields.get("dst"), f"{where}.dst", self.destination)
        network = self._network(fields.get("ip"), f"{where}.ip")
        app = self._app(fields.get("app"), f"{where}.app")
        if not self._reader.items(fields.get("ip"), f"{where}.ip") and not app and not _has_entries(fields.get("app")):
            self._findings.refuse(where, item.at, "ip and app can not both be empty")
        kinds = {alias.kind for alias in destination}
        if AliasKind.SELF in kinds:
            self._check_self(source, f"{where}.src", item.at, wildcard=False)
        if AliasKind.INTERNET in kinds and app:
            self._findings.refuse(where, item.at, "cannot use app grants with autogroup:internet")
        if AliasKind.ROLE in kinds and app:
            self._findings.refuse(where, item.at, "cannot use app grants with administrative autogroups")
        for alias in destination:
            if alias.kind is AliasKind.PREFIXES and alias.ranges in (("0.0.0.0/0",), ("::/0",)):
                message = f'dst "{alias.name}": to allow all IP addresses, use "*" or "autogroup:internet"'
                self._findings.refuse(where, item.at, message)
                break
        via = self._via(fields.get("via"), f"{where}.via")
        postures = self._postures(fields, where)
        return Grant(source, destination, network, app, via, postures, where)

    def _network(self, value: Value | None, where: str) -> tuple[NetworkAccess, ...]:
        made = []
        for item in self._reader.items(value, where):
            text = self._reader.text(item, where, number=True)
            if text is None:
                continue
            try:
                made.append(parse_network(text))
            except ValueError as error:
                self._findings.refuse(where, item.at, str(error))
        return tuple(made)

    def _app(self, value: Value | None, where: str) -> tuple[Capability, ...]:
        made = []
        for entry in self._reader.entries(value, where):
            name = entry.key
            if "://" in name or not _CAPABILITY.fullmatch(name):
                message = f'"{name}": capability name must have the form {{domain}}/{{path}}'
                self._findings.refuse(where, entry.at, message)
            elif name.startswith("tailscale.com/") and name not in _OWN_CAPABILITIES:
                message = f'"{name}": capability name must not be in the tailscale.com domain'
                self._findings.refuse(where, entry.at, message)
            elif entry.value.data is not None and not isinstance(entry.value.data, list):
                self._reader.wrong(entry.value, f'{where}["{name}"]', "a list")
            else:
                made.append(Capability(name, json.dumps(self._reader.verbatim(entry.value, where), ensure_ascii=False)))
        return tuple(made)

    def _via(self, value: Value | None, where: str) -> tuple[str, ...]:
        tags = []
        for item in self._reader.texts(value, where):
            text = str(item.data)
            if not text.startswith("tag:"):
                self._findings.refuse(where, item.at, f'"{text}": via can only be a tag')
            elif text not in self._names.tags:
                self._findings.refuse(where, item.at, f'tag "{text}" not found')
            else:
                tags.append(text)
        return tuple(tags)

    # Shared by both

    def _aliases(
        self, value: Value | None, where: str, read: Callable[[str, str, int], Alias | None]
    ) -> tuple[Alias, ...]:
        found = (read(str(item.data), where, item.at) for item in self._reader.texts(value, where))
        return tuple(alias for alias in found if alias is not None)

    def source(self, text: str, where: str, at: int) -> Alias | None:
        """Classify one source of an access rule; None when it was refused."""
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
            alias = self._names.alias(text)
        except ValueError as error:
            self._findings.refuse(where, at, f"src={error}")
            return None
        self._check_domain(alias, where, at)
        return alias

    def destination(self, text: str, where: str, at: int) -> Alias | None:
        """Classify one destination of an access rule; None when it was refused."""
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
            alias = self._names.alias(text)
        except ValueError as error:
            self._findings.refuse(where, at, f'dst="{text}": {error}')
            return None
        self._check_domain(alias, where, at)
        return alias

    def _check_domain(self, alias: Alias, where: str, at: int) -> None:
        if alias.kind is AliasKind.DOMAIN and self._names.is_foreign(alias.name):
            self._findings.refuse(where, at, f"[{where.partition('[')[0]}] {foreign_domain(alias.name)}")

    def _check_self(self, source: tuple[Alias, ...], where: str, at: int, *, wildcard: bool) -> None:
        allowed = _SELF_SOURCES | {AliasKind.ANY} if wildcard else _SELF_SOURCES
        if any(alias.kind not in allowed for alias in source):
            self._findings.refuse(where, at, _SELF_RULE)

    def _postures(self, fields: Fields, where: str) -> tuple[str, ...]:
        if "srcPosture" not in fields:
            return self._default_postures
        return self._sections.posture_list(fields["srcPosture"], f"{where}.srcPosture")


def parse_network(text: str) -> NetworkAccess:
    """Read one `ip` item of a grant: ``*``, ports, or ``protocol:ports``. Raises `ValueError`."""
    if text.count(":") > 1:
        raise ValueError(f"expected only one colon in Internet protocol and port type, got: {text}")
    name, colon, ports = text.partition(":")
    if not colon:
        return NetworkAccess((), parse_ports(text))
    protocol = parse_protocol(name)
    ranges = parse_ports(ports.strip())
    check_ports(protocol, name.strip().lower(), ranges)
    return NetworkAccess((protocol,), ranges)


def _has_entries(value: Value | None) -> bool:
    return value is not None and isinstance(value.data, tuple) and bool(value.data)
