"""The sections that define names and approvers: groups, hosts, tagOwners and autoApprovers."""

from __future__ import annotations

import re

from services.policy.model.sections.names import Names, UnknownNameError, foreign_domain, literal
from services.policy.model.text.fields import FieldReader, known
from services.policy.model.text.tree import Number, ObjectMember, Value
from services.shared.access.compiled import Alias, AliasKind, ApprovalRule, Group

_TAG_START = re.compile(r"tag:[A-Za-z]")
_OWNER_KINDS = frozenset(
    {
        AliasKind.USER,
        AliasKind.GROUP,
        AliasKind.TAG,
        AliasKind.MEMBER,
        AliasKind.TAGGED,
        AliasKind.ROLE,
        AliasKind.DOMAIN,
    }
)
_NO_MEMBERS = ("user:*@", "tag:", "autogroup:", "localpart:", "ipset:", "svc:")


class Sections:
    """Reader of the defining sections of one document, into `Names` and compiled parts."""

    def __init__(self, reader: FieldReader, names: Names) -> None:
        self._reader = reader
        self._findings = reader.findings
        self._names = names

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

    def _members(self, entry: ObjectMember, nested: list[tuple[str, str, int]]) -> list[str]:
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
                self._names.people.setdefault(Alias(AliasKind.USER, member), item.at)
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

    def tag_owners(self, value: Value | None) -> tuple[ApprovalRule, ...]:
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
            made.append(ApprovalRule(entry.key, owners))
        return tuple(made)

    def _owners(self, value: Value | None, where: str, word: str, tag: str = "") -> tuple[Alias, ...]:
        owners: list[Alias] = []
        for item in self._reader.texts(value, where):
            text = str(item.data)
            try:
                alias = self._names.alias(text, item.at)
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

    def approvers(
        self, value: Value | None
    ) -> tuple[tuple[ApprovalRule, ...], tuple[Alias, ...], tuple[ApprovalRule, ...]]:
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
            routes.append(ApprovalRule(prefix, self._owners(entry.value, where, "auto approver")))
        exits = self._owners(fields.get("exitNode"), "autoApprovers.exitNode", "auto approver")
        services = []
        for entry in self._reader.entries(fields.get("services"), "autoApprovers.services"):
            where = f'autoApprovers.services["{entry.key}"]'
            if not entry.key.startswith(("svc:", "tag:")):
                self._findings.refuse(where, entry.at, f'invalid service name: "{entry.key}"')
                continue
            services.append(ApprovalRule(entry.key, self._owners(entry.value, where, "auto approver")))
        return tuple(routes), exits, tuple(services)
