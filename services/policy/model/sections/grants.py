"""The section `grants`: ports and application capabilities that sources have at destinations."""

from __future__ import annotations

import json
import re

from services.policy.model.sections.names import Names
from services.policy.model.sections.ports import check_ports, parse_ports, parse_protocol
from services.policy.model.sections.postures import Postures
from services.policy.model.sections.src_dst import Ends
from services.policy.model.text.fields import FieldReader, Fields, known
from services.policy.model.text.tree import Value
from services.shared.access.compiled import AliasKind, Capability, Grant, NetworkAccess

_FIELDS = known("src", "dst", "ip", "app", "via", "srcPosture")
_OWN_CAPABILITIES = frozenset(
    f"tailscale.com/cap/{name}"
    for name in ("drive", "golink", "kubernetes", "relay", "secrets", "tailsql", "tsidp", "webui")
)
_MAX_PAIRS = 100_000
"""Pairs of a destination and a range of ports in one grant: a subnet router's packet filter spells out each of them."""
_CAPABILITY = re.compile(r"[^/:\s]+/\S+")


class GrantReader:
    """Reader of the grants of one document."""

    def __init__(self, reader: FieldReader, names: Names, ends: Ends, postures: Postures) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names = names
        self._ends = ends
        self._postures = postures

    def read(self, value: Value | None) -> list[Grant]:
        """Return the section, in its order."""
        made = []
        for index, item in enumerate(self._reader.items(value, "grants")):
            where = f"grants[{index}]"
            fields = self._reader.fields(item, where, _FIELDS)
            if isinstance(item.data, tuple):
                made.append(self._grant(fields, item, where))
        return made

    def _grant(self, fields: Fields, item: Value, where: str) -> Grant:
        source = self._ends.sources(fields.get("src"), f"{where}.src")
        destination = self._ends.destinations(fields.get("dst"), f"{where}.dst")
        network = self._network(fields.get("ip"), f"{where}.ip")
        app = self._app(fields.get("app"), f"{where}.app")
        if not self._reader.items(fields.get("ip"), f"{where}.ip") and not app and not _has_entries(fields.get("app")):
            self._findings.refuse(where, item.at, "ip and app can not both be empty")
        kinds = {alias.kind for alias in destination}
        if AliasKind.SELF in kinds:
            self._ends.check_self(source, f"{where}.src", item.at, wildcard=False)
        if AliasKind.INTERNET in kinds and app:
            self._findings.refuse(where, item.at, "cannot use app grants with autogroup:internet")
        if AliasKind.ROLE in kinds and app:
            self._findings.refuse(where, item.at, "cannot use app grants with administrative autogroups")
        for alias in destination:
            if alias.kind is AliasKind.PREFIXES and alias.ranges in (("0.0.0.0/0",), ("::/0",)):
                message = f'dst "{alias.name}": to allow all IP addresses, use "*" or "autogroup:internet"'
                self._findings.refuse(where, item.at, message)
                break
        pairs = sum(max(1, len(alias.ranges)) for alias in destination) * sum(len(access.ports) for access in network)
        if pairs > _MAX_PAIRS:
            message = f"{pairs} pairs of a destination and ports, at most {_MAX_PAIRS}: write ranges or wider prefixes"
            self._findings.refuse(where, item.at, message)
        via = self._via(fields.get("via"), f"{where}.via")
        postures = self._postures.of(fields, where)
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


def parse_network(text: str) -> NetworkAccess:
    """Read one `ip` item of a grant: ``*``, ports, or ``protocol:ports``, where ``*`` is the default protocols.

    Raises: `ValueError`.
    """
    if text.count(":") > 1:
        raise ValueError(f"expected only one colon in Internet protocol and port type, got: {text}")
    name, colon, ports = text.partition(":")
    if not colon:
        return NetworkAccess((), parse_ports(text))
    if name.strip() == "*":
        return NetworkAccess((), parse_ports(ports.strip()))
    protocol = parse_protocol(name)
    ranges = parse_ports(ports.strip())
    check_ports(protocol, name.strip().lower(), ranges)
    return NetworkAccess((protocol,), ranges)


def _has_entries(value: Value | None) -> bool:
    return value is not None and isinstance(value.data, tuple) and bool(value.data)
