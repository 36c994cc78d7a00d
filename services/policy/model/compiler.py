"""The compiler of policies: from a text to its compiled form, as a pure function of the document."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from services.policy.model.sections.acls import AclReader
from services.policy.model.sections.attributes import RANDOMIZE_CLIENT_PORT, AttributeReader
from services.policy.model.sections.definitions import Sections
from services.policy.model.sections.derpmap import DerpMapReader
from services.policy.model.sections.grants import GrantReader
from services.policy.model.sections.ipsets import IpsetReader
from services.policy.model.sections.names import Names
from services.policy.model.sections.postures import Postures
from services.policy.model.sections.src_dst import Ends
from services.policy.model.sections.sshrules import SshReader
from services.policy.model.sections.testsections import FAILED, AccessTest, SshTest, TestReader
from services.policy.model.text.fields import FieldReader, Fields, known
from services.policy.model.text.problems import Findings, PolicyError, Problem
from services.policy.model.text.source import ParsedPolicy, read
from services.policy.model.text.tree import Value
from services.shared.access.compiled import ALLOW_ALL, Alias, CompiledPolicy

_SECTIONS = known(
    "groups",
    "hosts",
    "tagOwners",
    "acls",
    "grants",
    "nodeAttrs",
    "autoApprovers",
    "ssh",
    "tests",
    "sshTests",
    "randomizeClientPort",
    "postures",
    "defaultSrcPosture",
    "ipsets",
    "derpMap",
    "disableIPv4",
    "OneCGNATRoute",
)


@dataclass(frozen=True, slots=True)
class ProviderGroups:
    """Rules for the groups of a sign-in provider."""

    on_conflict: str = "merge"
    """As in `CompiledPolicy`."""


@dataclass(frozen=True, slots=True)
class Document:
    """A policy that was accepted as text: its compiled form, and its tests, which need a tailnet to run."""

    policy: CompiledPolicy
    names: Names
    tests: tuple[AccessTest, ...] = ()
    ssh_tests: tuple[SshTest, ...] = ()
    warnings: tuple[Problem, ...] = ()
    people: tuple[tuple[Alias, tuple[int, int]], ...] = ()
    """Users and login domains that the text names, each with line and column of the first time."""


def compile_policy(
    text: str,
    *,
    name: str = "",
    domains: Collection[str] = (),
    user_names: Collection[str] = (),
    provider: ProviderGroups | None = None,
) -> Document:
    """Compile a policy text.

    `name` is the file it came from, if any. `domains` are the login domains of the tailnet; when there are none,
    domains are not checked. `user_names` lets old documents name users without an @. With a `provider`, a group that
    the document does not define is one of the sign-in provider.

    Raises: `PolicyError` with every problem found.
    """
    source = read(text, name)
    if source.tree is None:
        return Document(ALLOW_ALL, Names())
    return _Compilation(source, source.tree, frozenset(domains), frozenset(user_names), provider).document()


class _Compilation:
    def __init__(
        self,
        source: ParsedPolicy,
        tree: Value,
        domains: frozenset[str],
        users: frozenset[str],
        provider: ProviderGroups | None,
    ) -> None:
        self._lines = source.lines
        self._findings = Findings(source.lines)
        self._reader = FieldReader(self._findings)
        self._tree = tree
        self._is_yaml = source.is_yaml
        self._names = Names(domains=domains, users=users, provider_groups=provider is not None)
        self._on_conflict = provider.on_conflict if provider is not None else "merge"

    def document(self) -> Document:
        if self._is_yaml:
            self._refuse_empty_rules()
        fields = self._reader.fields(self._tree, "", _SECTIONS)
        sections = Sections(self._reader, self._names)
        groups = sections.groups(fields.get("groups"))
        sections.hosts(fields.get("hosts"))
        tag_owners = sections.tag_owners(fields.get("tagOwners"))
        IpsetReader(self._reader, self._names).read(fields.get("ipsets"))
        asked = Postures(self._reader, self._names)
        postures = asked.read(fields.get("postures"), fields.get("defaultSrcPosture"))
        ends = Ends(self._reader, self._names)
        grants = (
            *GrantReader(self._reader, self._names, ends, asked).read(fields.get("grants")),
            *AclReader(self._reader, ends, asked).read(fields.get("acls")),
        )
        ssh = SshReader(self._reader, self._names, asked)
        attributes = AttributeReader(self._reader, self._names).attributes(fields.get("nodeAttrs"))
        if self._reader.flag(fields.get("randomizeClientPort"), "randomizeClientPort"):
            attributes.append(RANDOMIZE_CLIENT_PORT)
        routes, exits, services = sections.approvers(fields.get("autoApprovers"))
        allow_all = "acls" not in fields and "grants" not in fields
        policy = CompiledPolicy(
            grants=ALLOW_ALL.grants if allow_all else grants,
            ssh=ssh.rules(fields.get("ssh")),
            node_attributes=tuple(attributes),
            groups=groups,
            tag_owners=tag_owners,
            route_approvers=routes,
            exit_approvers=exits,
            service_approvers=services,
            postures=postures,
            disable_ipv4=self._reader.flag(fields.get("disableIPv4"), "disableIPv4"),
            one_cgnat_route=self._one_cgnat_route(fields),
            derp_map=DerpMapReader(self._reader).derp_map(fields.get("derpMap")),
            on_conflict=self._on_conflict,
            allow_all=allow_all,
        )
        tests = TestReader(self._reader)
        before = len(self._findings.problems)
        access_tests = tests.tests(fields.get("tests"))
        ssh_tests = tests.ssh_tests(fields.get("sshTests"))
        if len(self._findings.problems) > before:
            # The hosted service says only this, whatever is wrong with a test.
            self._findings.problems.insert(before, Problem(f"{FAILED}:"))
        self._check_spellings()
        if self._findings.problems:
            raise PolicyError(self._findings.problems, "parsing policy:")
        people = ((alias, self._lines.place(at)) for alias, at in self._names.people.items())
        warnings = tuple(self._findings.warnings)
        return Document(policy, self._names, access_tests, ssh_tests, warnings, tuple(people))

    def _refuse_empty_rules(self) -> None:
        """In YAML a section name with nothing after it is null, which would mean that everything is allowed."""
        entries = self._tree.data if isinstance(self._tree.data, tuple) else ()
        for entry in entries:
            if entry.key.lower() in ("acls", "grants") and entry.value.data is None:
                message = "has nothing after it; write [] to allow nothing, or leave it out to allow everything"
                self._findings.refuse(entry.key, entry.at, message)

    def _one_cgnat_route(self, fields: Fields) -> str:
        text = self._reader.text(fields.get("OneCGNATRoute"), "OneCGNATRoute") or ""
        if text not in ("", "mac-always", "mac-never"):
            message = f'must be "mac-always" or "mac-never", got: "{text}"'
            self._findings.refuse("OneCGNATRoute", fields["OneCGNATRoute"].at, message)
        return text

    def _check_spellings(self) -> None:
        old_spelling = self._names.member_spellings.get("members")
        if old_spelling is not None and "member" in self._names.member_spellings:
            message = "autogroup:member and autogroup:members are the same: use only autogroup:member"
            self._findings.refuse("", old_spelling, message)
        elif old_spelling is not None:
            self._findings.warn("", old_spelling, '"autogroup:members" is an old spelling, write "autogroup:member"')
        for note, at in self._names.legacy.items():
            self._findings.warn("", at, note)
        for group, at in sorted(self._names.provided.items()):
            self._findings.warn("", at, f'"{group}" is not in groups: its members are those of the sign-in provider')
