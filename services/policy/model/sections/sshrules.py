"""The section `ssh`: sources, destinations and local users of Tailscale SSH."""

from __future__ import annotations

from services.policy.model.sections.durations import parse_duration, show_duration
from services.policy.model.sections.names import NONROOT, Names, foreign_domain, literal
from services.policy.model.sections.postures import Postures
from services.policy.model.text.fields import FieldReader, Fields, known
from services.policy.model.text.problems import Findings
from services.policy.model.text.tree import Value
from services.shared.access.compiled import Alias, AliasKind, SshRule

_FIELDS = known(
    "action",
    "src",
    "dst",
    "users",
    "checkPeriod",
    "acceptEnv",
    "srcPosture",
    "recorder",
    "enforceRecorder",
)
_MAX_PERIOD = 168 * 3600 * 10**9
_LOCALPART = "localpart:*@"
_TAG_KINDS = frozenset({AliasKind.TAG, AliasKind.TAGGED})
_SOURCE_KINDS = frozenset(
    {
        AliasKind.USER,
        AliasKind.GROUP,
        AliasKind.TAG,
        AliasKind.TAGGED,
        AliasKind.MEMBER,
        AliasKind.ROLE,
        AliasKind.DOMAIN,
    }
)
_DESTINATION_KINDS = frozenset({AliasKind.TAG, AliasKind.USER, AliasKind.SELF, AliasKind.MEMBER, AliasKind.TAGGED})
_NO_SOURCE_AUTOGROUPS = frozenset({AliasKind.SELF, AliasKind.INTERNET, AliasKind.DANGER_ALL, AliasKind.SHARED})
_NO_DESTINATION_AUTOGROUPS = frozenset({AliasKind.INTERNET, AliasKind.DANGER_ALL, AliasKind.SHARED, AliasKind.ROLE})
_WILDCARD = (
    "wildcard (*) is not supported as SSH destination; use 'autogroup:member' for user-owned devices, "
    "'autogroup:tagged' for tagged devices, or specific tags/users"
)


class SshReader:
    """Reader of the SSH rules of one document."""

    def __init__(self, reader: FieldReader, names: Names, postures: Postures) -> None:
        self._reader = reader
        self._findings: Findings = reader.findings
        self._names = names
        self._postures = postures

    def rules(self, value: Value | None) -> tuple[SshRule, ...]:
        """Return the `ssh` section."""
        made = []
        for index, item in enumerate(self._reader.items(value, "ssh")):
            where = f"ssh[{index}]"
            fields = self._reader.fields(item, where, _FIELDS)
            if isinstance(item.data, tuple):
                made.append(self._rule(fields, item, where))
        return tuple(made)

    def _rule(self, fields: Fields, item: Value, where: str) -> SshRule:
        action = self._action(fields, item, where)
        source = self._source(fields.get("src"), f"{where}.src")
        destination = self._destination(fields.get("dst"), f"{where}.dst")
        self._check_pairs(source, destination, where, item.at)
        postures = self._postures.of(fields, where)
        return SshRule(
            check=action == "check",
            source=source,
            destination=destination,
            users=self._users(fields.get("users"), item, where),
            check_period=self._period(fields, action, where),
            accept_env=self._environment(fields.get("acceptEnv"), f"{where}.acceptEnv"),
            postures=postures,
            recorders=self._recorders(fields.get("recorder"), f"{where}.recorder"),
            enforce_recorder=self._reader.flag(fields.get("enforceRecorder"), f"{where}.enforceRecorder"),
            origin=where,
        )

    def _action(self, fields: Fields, item: Value, where: str) -> str:
        action = self._reader.text(fields.get("action"), f"{where}.action")
        if not action:
            self._findings.refuse(where, item.at, "action must be specified")
        elif action not in ("accept", "check"):
            self._findings.refuse(where, fields["action"].at, f'"{action}" is not a valid action')
        return action or ""

    def _users(self, value: Value | None, item: Value, where: str) -> tuple[str, ...]:
        users: list[str] = []
        items = self._reader.texts(value, f"{where}.users")
        if not items and not self._reader.items(value, f"{where}.users"):
            self._findings.refuse(where, item.at, "users must be specified")
        for one in items:
            user = str(one.data)
            if user in ("", "*"):
                self._findings.refuse(where, one.at, f'user "{user}" is not valid')
                continue
            domain = user.removeprefix(_LOCALPART)
            if user.startswith(_LOCALPART) and self._names.is_foreign(domain):
                self._findings.refuse(where, one.at, foreign_domain(domain))
            users.append(user)
        return tuple(users)

    def _source(self, value: Value | None, where: str) -> tuple[Alias, ...]:
        made = []
        for item in self._reader.texts(value, where):
            text = str(item.data)
            alias = self._alias(text, where, item.at)
            if alias is None and text != NONROOT:
                continue
            if alias is None or alias.kind in _NO_SOURCE_AUTOGROUPS:
                can_be = "can be [autogroup:member autogroup:tagged]"
                self._findings.refuse(where, item.at, f'autogroup not supported for SSH sources: "{text}", {can_be}')
            elif alias.kind not in _SOURCE_KINDS:
                self._findings.refuse(where, item.at, f"alias not supported for SSH source: {text}")
            else:
                if alias.kind is AliasKind.DOMAIN and self._names.is_foreign(alias.name):
                    self._findings.refuse(where, item.at, f"[ssh] {foreign_domain(alias.name)}")
                made.append(alias)
        return tuple(made)

    def _destination(self, value: Value | None, where: str) -> tuple[Alias, ...]:
        made = []
        for item in self._reader.texts(value, where):
            text = str(item.data)
            alias = self._alias(text, where, item.at)
            if alias is not None and alias.kind in _DESTINATION_KINDS:
                made.append(alias)
            elif alias is not None or text == NONROOT:
                self._findings.refuse(where, item.at, f'invalid dst "{text}"{_why_not(alias, text)}')
        return tuple(made)

    def _alias(self, text: str, where: str, at: int) -> Alias | None:
        """Classify a name. Returns None if it is refused, and for `autogroup:nonroot`, which only `users` may have."""
        if text == NONROOT:
            return None
        try:
            return self._names.alias(text, at)
        except ValueError as error:
            self._findings.refuse(where, at, str(error))
            return None

    def _check_pairs(self, source: tuple[Alias, ...], destination: tuple[Alias, ...], where: str, at: int) -> None:
        """Refuse sources and destinations that may not be combined."""
        has_tags = any(alias.kind in _TAG_KINDS for alias in source)
        for alias in destination:
            if alias.kind is AliasKind.USER:
                if has_tags:
                    message = (
                        f"tags in SSH source cannot access user-owned devices ({alias.name}); "
                        "use autogroup:tagged or specific tags as destinations instead"
                    )
                    self._findings.refuse(where, at, message)
                elif source and source != (alias,):
                    message = (
                        f'user destination requires source to contain only that same user "{alias.name}"; '
                        "use autogroup:self instead for same-user SSH access"
                    )
                    self._findings.refuse(where, at, message)
            elif alias.kind is AliasKind.SELF and has_tags:
                message = (
                    "autogroup:self destination requires source to contain only users or groups, "
                    "not tags or autogroup:tagged"
                )
                self._findings.refuse(where, at, message)
            elif alias.kind is AliasKind.MEMBER and has_tags:
                message = "tags in SSH source cannot access autogroup:member (user-owned devices)"
                self._findings.refuse(where, at, message)

    def _period(self, fields: Fields, action: str, where: str) -> int | None:
        text = self._reader.text(fields.get("checkPeriod"), f"{where}.checkPeriod", number=True)
        if not text:
            return None
        at = fields["checkPeriod"].at
        if action == "accept":
            self._findings.refuse(where, at, 'checkPeriod is only valid with action "check"')
        if text == "always":
            return 0
        try:
            period = parse_duration(text)
        except ValueError as error:
            self._findings.refuse(where, at, str(error))
            return None
        if period < 0:
            self._findings.refuse(where, at, f"checkPeriod {show_duration(period)} must be a positive duration")
        elif period > _MAX_PERIOD:
            self._findings.refuse(where, at, f"checkPeriod {show_duration(period)} is above the max (168h)")
        return period // 10**9

    def _environment(self, value: Value | None, where: str) -> tuple[str, ...]:
        for item in self._reader.texts(value, where):
            if not item.data:
                self._findings.refuse(where, item.at, "acceptEnv values cannot be empty")
        return tuple(item.data for item in self._reader.items(value, where) if isinstance(item.data, str))

    def _recorders(self, value: Value | None, where: str) -> tuple[str, ...]:
        tags = []
        for item in self._reader.texts(value, where):
            text = str(item.data)
            if not text.startswith("tag:"):
                self._findings.refuse(where, item.at, f'recorder can only be a tag, got: "{text}"')
            elif text not in self._names.tags:
                self._findings.refuse(where, item.at, f'tag not found: "{text}"')
            else:
                tags.append(text)
        return tuple(tags)


def _why_not(alias: Alias | None, text: str) -> str:
    """Return why something is no destination of an SSH rule, to append to the refusal."""
    if alias is not None and alias.kind is AliasKind.ANY:
        return f": {_WILDCARD}"
    if alias is None or alias.kind in _NO_DESTINATION_AUTOGROUPS:
        can_be = "can be [autogroup:member autogroup:tagged autogroup:self]"
        return f': autogroup not supported for SSH destinations: "{text}", {can_be}'
    if alias.kind is AliasKind.PREFIXES and literal(text) is None:
        return ""
    return f": alias not supported for SSH destination: {text}"
