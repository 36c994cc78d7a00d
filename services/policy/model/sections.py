"""The sections that define names: groups, hosts, tagOwners, ipsets, postures; and autoApprovers."""

from __future__ import annotations

import re

from services.policy.model.fields import FieldReader, known
from services.policy.model.names import Names, UnknownNameError, foreign_domain, literal
from services.policy.model.tree import Entry, Number, Value
from services.shared.access.compiled import Alias, AliasKind, Approver, Assertion, Group, Posture
from services.shared.access.posture import VERSIONS
from services.shared.access.ranges import INTERNET, Span, Spans, coalesce, show, span, subtract

_TAG_START = re.compile(r"tag:[A-Za-z]")
MAX_IPSET_STEPS = 500
"""Turns between adding and removing in one ipset."""
MAX_IPSET_RANGES = 200_000
"""Ranges of all ipsets together."""

_OWNER_KINDS = frozenset(
    {
        AliasKind.USER,
        AliasKind.GROUP,
        AliasKind.TAG,
        AliasKind.MEMBER,
        AliasKind.TAGGED,
        AliasKind.ROLE,
        AliasKind.DOMAIN,
        AliasKind.SHARED,
    }
)
_NO_MEMBERS = ("user:*@", "tag:", "autogroup:", "localpart:", "ipset:", "svc:")
_ASSERTION = re.compile(
    r"(?P<attribute>[A-Za-z][\w:.\-]*)"
    r"(?:\s+(?P<state>IS\s+SET|NOT\s+SET)|\s*(?P<operator>==|!=|<=|>=|<|>|\bNOT\s+IN\b|\bIN\b)\s*(?P<value>.+))?",
    re.ASCII | re.DOTALL,
)
_QUOTED = re.compile(r"'([^']*)'")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_SIMPLE = re.compile(r"-?[0-9][\w.\-]*|true|false", re.ASCII)


class Sections:
    """Reads the defining sections of one document into `Names` and compiled parts."""

    def __init__(self, reader: FieldReader, names: Names) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names = names
        self._ipset_room = MAX_IPSET_RANGES

    # groups, hosts

    def groups(self, value: Value | None) -> tuple[Group, ...]:
        """Read `groups`: user lists by name, never nested."""
        made: list[Group] = []
        nested: list[tuple[str, str, int]] = []
        for entry in self._reader.entries(value, "groups"):
            if not entry.key.startswith("group:"):
                self._findings.refuse("groups", entry.at, f"group must start with 'group:', got: \"{entry.key}\"")
                continue
            made.append(Group(entry.key, tuple(self._members(entry, nested))))
        for group, member, at in sorted(nested, key=lambda found: found[0], reverse=True):
            self._findings.refuse("", at, f'groups["{group}"]: "{member}": group members cannot be recursive')
        self._names.groups = {group.name: group.members for group in made}
        return tuple(made)

    def _members(self, entry: Entry, nested: list[tuple[str, str, int]]) -> list[str]:
        members: list[str] = []
        data = entry.value.data
        if data is None:
            return members
        if not isinstance(data, list):
            shown = f'"{data}"' if isinstance(data, str) else ""
            message = f'group value must be an array of users: group "{entry.key}" got {entry.value.kind}: {shown}'
            self._findings.refuse("groups", entry.at, message)
            return members
        for item in data:
            if not isinstance(item.data, str) or isinstance(item.data, Number):
                message = f'invalid group member type: group "{entry.key}" expected string but got {item.kind}'
                self._findings.refuse("groups", item.at, message)
                continue
            member = item.data.strip()
            if member.startswith("group:"):
                nested.append((entry.key, member, item.at))
            elif "@" in member and member.startswith(_NO_MEMBERS):
                message = f'group members can only be users, got: "{member}"; name it in the rules'
                self._findings.refuse(f'groups["{entry.key}"]', item.at, message)
            elif "@" in member:
                members.append(member)
            elif member and member in self._names.users:
                self._findings.warn("groups", item.at, f'"{member}" is an old spelling of a user, write "{member}@"')
                members.append(member + "@")
            else:
                self._findings.refuse("groups", item.at, f'username must contain @, got: "{member}"')
        return members

    def hosts(self, value: Value | None) -> None:
        """Read `hosts`: names of addresses and prefixes."""
        for entry in self._reader.entries(value, "hosts"):
            name = entry.key.strip()
            if not name or "@" in name or ":" in name or literal(name) is not None or name == "*":
                self._findings.refuse("hosts", entry.at, f'invalid hostname: "{entry.key}"')
                continue
            text = self._reader.text(entry.value, f'hosts["{name}"]', number=True)
            address = literal(text) if text is not None else None
            if address is None:
                message = f'hostname contains invalid IP address: hostname "{name}" address "{text or ""}"'
                self._findings.refuse("hosts", entry.at, message)
                continue
            self._names.hosts[name] = address

    # tagOwners, autoApprovers

    def tag_owners(self, value: Value | None) -> tuple[Approver, ...]:
        """Read `tagOwners`, which also defines which tags exist."""
        entries = []
        for entry in self._reader.entries(value, "tagOwners"):
            if not entry.key.startswith("tag:"):
                self._findings.refuse("tagOwners", entry.at, f"tag must start with 'tag:', got: \"{entry.key}\"")
            elif not _TAG_START.match(entry.key):
                message = f"tagOwners[\"{entry.key}\"]: tag names must start with a letter, after 'tag:'"
                self._findings.refuse("", entry.at, message)
            else:
                entries.append(entry)
                self._names.tags.add(entry.key)
        made = []
        for entry in entries:
            owners = self._owners(entry.value, f'tagOwners["{entry.key}"]', "owner", entry.key)
            made.append(Approver(entry.key, owners))
        return tuple(made)

    def _owners(self, value: Value | None, where: str, word: str, tag: str = "") -> tuple[Alias, ...]:
        owners: list[Alias] = []
        for item in self._reader.texts(value, where):
            text = str(item.data)
            try:
                alias = self._names.alias(text)
            except UnknownNameError as error:
                message = str(error)
                if text.startswith("tag:") and tag:
                    message = f'tag "{tag}" references undefined tag "{text}"'
                elif ":" not in text:
                    message = f'invalid {word} format: "{text}"'
                self._findings.refuse(where, item.at, message)
                continue
            except ValueError as error:
                is_prefixed = text.startswith(("autogroup:", "tag:", "group:"))
                self._findings.refuse(where, item.at, str(error) if is_prefixed else f'invalid {word} format: "{text}"')
                continue
            if alias.kind not in _OWNER_KINDS:
                self._findings.refuse(where, item.at, f'invalid {word} format: "{text}"')
                continue
            if alias.kind is AliasKind.DOMAIN and self._names.is_foreign(alias.name):
                section = re.split(r"[.\[]", where, maxsplit=1)[0]
                self._findings.refuse(where, item.at, f"[{section}] {foreign_domain(alias.name)}")
            owners.append(alias)
        return tuple(owners)

    def approvers(self, value: Value | None) -> tuple[tuple[Approver, ...], tuple[Alias, ...], tuple[Approver, ...]]:
        """Read `autoApprovers`: by prefix, for exit nodes, and by service."""
        if value is None:
            return (), (), ()
        table = known("routes", "exitNode", "services")
        fields = self._reader.fields(value, "autoApprovers", table)
        routes = []
        for entry in self._reader.entries(fields.get("routes"), "autoApprovers.routes"):
            where = f'autoApprovers.routes["{entry.key}"]'
            prefix = literal(entry.key.strip())
            if prefix is None:
                self._findings.refuse(where, entry.at, f'invalid prefix: "{entry.key}"')
                continue
            routes.append(Approver(prefix, self._owners(entry.value, where, "auto approver")))
        exits = self._owners(fields.get("exitNode"), "autoApprovers.exitNode", "auto approver")
        services = []
        for entry in self._reader.entries(fields.get("services"), "autoApprovers.services"):
            where = f'autoApprovers.services["{entry.key}"]'
            if not entry.key.startswith(("svc:", "tag:")):
                self._findings.refuse(where, entry.at, f'invalid service name: "{entry.key}"')
                continue
            services.append(Approver(entry.key, self._owners(entry.value, where, "auto approver")))
        return tuple(routes), exits, tuple(services)

    # ipsets

    def ipsets(self, value: Value | None) -> None:
        """Read `ipsets`: each a list of additions and removals, in order."""
        definitions: dict[str, Entry] = {}
        for entry in self._reader.entries(value, "ipsets"):
            if not entry.key.startswith("ipset:") or entry.key == "ipset:":
                self._findings.refuse("ipsets", entry.at, f"ipset must start with 'ipset:', got: \"{entry.key}\"")
                continue
            definitions[entry.key] = entry
        done: dict[str, Spans] = {}
        for name in definitions:
            self._ipset(name, definitions, done, ())
        self._names.ipsets = {name: tuple(show(part) for part in spans) for name, spans in done.items()}

    def _ipset(self, name: str, definitions: dict[str, Entry], done: dict[str, Spans], above: tuple[str, ...]) -> Spans:
        if name in done or self._ipset_room < 0:
            return done.get(name, ())
        entry = definitions[name]
        where = f'ipsets["{name}"]'
        if name in above or len(above) > 30:
            self._findings.refuse(where, entry.at, "ipsets cannot contain each other in a circle")
            return ()
        items = self._reader.texts(entry.value, where)
        spans = self._ipset_steps(where, items, definitions, done, (*above, name))
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
            found = self._ipset_target(target.strip(), definitions, done, above)
            if found is None:
                self._findings.refuse(where, item.at, f'invalid ipset target: "{text}"')
                continue
            if not steps or steps[-1][0] != verb:
                steps.append((verb, []))
            steps[-1][1].extend(found)
            if len(steps) > MAX_IPSET_STEPS or len(steps[-1][1]) > MAX_IPSET_RANGES:
                message = f"more than {MAX_IPSET_STEPS} turns between add and remove, or {MAX_IPSET_RANGES} ranges"
                self._findings.refuse(where, item.at, message)
                return ()
        spans: Spans = ()
        for verb, found_spans in steps:
            step = coalesce(found_spans)
            spans = coalesce([*spans, *step]) if verb == "add" else subtract(spans, step)
        return spans

    def _ipset_target(
        self, text: str, definitions: dict[str, Entry], done: dict[str, Spans], above: tuple[str, ...]
    ) -> Spans | None:
        if text == "autogroup:internet":
            return INTERNET
        if text in definitions:
            return self._ipset(text, definitions, done, above)
        address = self._names.hosts.get(text.removeprefix("host:")) if text.startswith("host:") else literal(text)
        return (span(address),) if address is not None else None

    # postures

    def postures(self, value: Value | None) -> tuple[Posture, ...]:
        """Read `postures`: named lists of assertions that must all hold."""
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
        return tuple(made)

    def posture_list(self, value: Value | None, where: str) -> tuple[str, ...]:
        """Read a `srcPosture` list; every name must be defined."""
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
        return Assertion(attribute, " ".join(found["state"].split()))
    if not found["operator"]:
        return Assertion(attribute, "==", ("true",))
    operator = " ".join(found["operator"].split())
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
