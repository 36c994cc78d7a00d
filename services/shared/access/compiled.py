"""The compiled policy: the meaning of a policy document, with names not resolved in any tailnet.

It is a pure function of the document: no user, node or address of the tailnet is in it. All parts are frozen and
hashable, so that evaluators can share work between rules that name the same thing. It travels and is stored as JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import msgspec

FORMAT = 2
"""Version of the serialised form; a reader refuses an unknown one. Version 1 wrote each end in full."""


class AliasKind(StrEnum):
    """The kind of a name in a rule."""

    ANY = "any"
    """`*`: every address of the tailnet; as a source also the approved subnet routes."""
    PREFIXES = "prefixes"
    """Literal addresses: an IP, a CIDR, a host or an ipset. Never a node's other address."""
    USER = "user"
    DOMAIN = "domain"
    """Every user with a login in this domain."""
    GROUP = "group"
    TAG = "tag"
    MEMBER = "member"
    TAGGED = "tagged"
    SELF = "self"
    INTERNET = "internet"
    DANGER_ALL = "danger-all"
    ROLE = "role"
    SHARED = "shared"
    SERVICE = "service"


IDENTITY_KINDS = frozenset(
    {
        AliasKind.USER,
        AliasKind.DOMAIN,
        AliasKind.GROUP,
        AliasKind.TAG,
        AliasKind.MEMBER,
        AliasKind.TAGGED,
        AliasKind.ROLE,
    }
)
"""Aliases that select nodes by who they are, and so stand for both addresses of each."""


@dataclass(frozen=True, slots=True)
class Alias:
    """One name of a rule, classified."""

    kind: AliasKind
    name: str = ""
    """The user token, domain, role or full group or tag name; for literals, the text as written."""
    ranges: tuple[str, ...] = ()
    """For literals: CIDRs or ``first-last`` ranges."""
    internet: bool = False
    """For an ipset: it is a part of `autogroup:internet`, which exit nodes serve."""


class End(tuple[Alias, ...]):
    """One end of a grant: its sources or its destinations. Its hash is computed once.

        An ACL with many destinations becomes many grants that share the end with its sources; a table with ends as keys
    would otherwise hash all sources again for each grant.
    """

    def __hash__(self) -> int:
        known: int | None = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = super().__hash__()
        return known


@dataclass(frozen=True, slots=True)
class NetworkAccess:
    """Protocols and ports that a grant opens."""

    protocols: tuple[int, ...] = ()
    """IP protocol numbers; empty means the client's default set (TCP, UDP, ICMP, ICMPv6)."""
    ports: tuple[tuple[int, int], ...] = ((0, 65535),)


@dataclass(frozen=True, slots=True)
class Capability:
    """An application capability and its values, as JSON text so that it stays verbatim and hashable."""

    name: str
    values: str = "null"


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission from sources to destinations. An ACL becomes one grant per destination."""

    source: tuple[Alias, ...]
    destination: tuple[Alias, ...]
    network: tuple[NetworkAccess, ...] = ()
    app: tuple[Capability, ...] = ()
    via: tuple[str, ...] = ()
    postures: tuple[str, ...] = ()
    """Any one of these suffices; empty means that none is required."""
    origin: str = ""
    """Where in the document it stands, such as ``acls[3]``."""


@dataclass(frozen=True, slots=True)
class SshRule:
    """One rule of Tailscale SSH."""

    check: bool
    source: tuple[Alias, ...]
    destination: tuple[Alias, ...]
    users: tuple[str, ...]
    check_period: int | None = None
    """Seconds for which an approval is valid; absent: the default of 12 hours, 0: one session."""
    accept_env: tuple[str, ...] = ()
    postures: tuple[str, ...] = ()
    recorders: tuple[str, ...] = ()
    """Tags of the nodes that record sessions."""
    enforce_recorder: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True)
class NodeAttributes:
    """Capabilities given to nodes themselves."""

    target: tuple[Alias, ...]
    attributes: tuple[str, ...] = ()
    app: tuple[Capability, ...] = ()
    pools: tuple[str, ...] = ()
    """Prefixes that new nodes of the target take their IPv4 address from."""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Assertion:
    """One test of a posture attribute."""

    attribute: str
    operator: str
    """One of ``== != < <= > >= IN "NOT IN" "IS SET" "NOT SET"``."""
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Posture:
    """A named condition on a device: all its assertions must be true."""

    name: str
    assertions: tuple[Assertion, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A named list of users."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApprovalRule:
    """The names that auto-approve a route or service, or own a tag."""

    subject: str
    """A prefix, a tag, or a service name."""
    approvers: tuple[Alias, ...]


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """The complete meaning of a policy document."""

    grants: tuple[Grant, ...] = ()
    ssh: tuple[SshRule, ...] = ()
    node_attributes: tuple[NodeAttributes, ...] = ()
    groups: tuple[Group, ...] = ()
    tag_owners: tuple[ApprovalRule, ...] = ()
    route_approvers: tuple[ApprovalRule, ...] = ()
    exit_approvers: tuple[Alias, ...] = ()
    service_approvers: tuple[ApprovalRule, ...] = ()
    postures: tuple[Posture, ...] = ()
    disable_ipv4: bool = False
    one_cgnat_route: str = ""
    """`mac-always`, `mac-never` or empty."""
    derp_map: str = ""
    """JSON text of the DERP map to merge in; empty when the document has none."""
    on_conflict: str = "merge"
    """Who is in a group that the document lists and the sign-in provider names: `merge` both, `static` or `idp`."""
    allow_all: bool = False
    """True when the document had no access rules at all, so that everything is allowed."""

    def aliases(self) -> Iterator[Alias]:
        """Every source, destination, target and approver that the document names."""
        for grant in self.grants:
            yield from (*grant.source, *grant.destination)
        for rule in self.ssh:
            yield from (*rule.source, *rule.destination)
        for entry in self.node_attributes:
            yield from entry.target
        for approver in (*self.tag_owners, *self.route_approvers, *self.service_approvers):
            yield from approver.approvers
        yield from self.exit_approvers

    def to_bytes(self) -> bytes:
        """Serialise; an end that several grants share is written once."""
        numbers: dict[tuple[Alias, ...], int] = {}
        grants = tuple(
            _StoredGrant(
                numbers.setdefault(grant.source, len(numbers)),
                numbers.setdefault(grant.destination, len(numbers)),
                grant.network,
                grant.app,
                grant.via,
                grant.postures,
                grant.origin,
            )
            for grant in self.grants
        )
        return msgspec.json.encode(_Stored(FORMAT, tuple(numbers), grants, replace(self, grants=())))

    @staticmethod
    def from_bytes(data: bytes) -> CompiledPolicy:
        """Read what `to_bytes` wrote, now or in version 1.

        Raises: `ValueError` when the data is not a compiled policy of a known format.
        """
        version = msgspec.json.decode(data, type=_StoredHead).format
        if version == 1:
            policy = msgspec.json.decode(data, type=CompiledPolicy)
            return replace(policy, grants=_sharing(policy.grants))
        if version != FORMAT:
            raise ValueError(f"compiled policy has format {version}, this program reads {FORMAT}")
        stored = msgspec.json.decode(data, type=_Stored)
        ends = tuple(map(End, stored.ends))
        try:
            grants = tuple(grant.with_ends(ends) for grant in stored.grants)
        except IndexError:
            raise ValueError("compiled policy names an end that it does not have") from None
        return replace(stored.policy, grants=grants)


class _StoredHead(msgspec.Struct, frozen=True):
    """The part common to all versions of the serialised form: the version."""

    format: int


class _StoredGrant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A grant with ends given as indexes of a list."""

    source: int
    destination: int
    network: tuple[NetworkAccess, ...] = ()
    app: tuple[Capability, ...] = ()
    via: tuple[str, ...] = ()
    postures: tuple[str, ...] = ()
    origin: str = ""

    def with_ends(self, ends: tuple[End, ...]) -> Grant:
        """Return the grant itself."""
        source, destination = ends[self.source], ends[self.destination]
        return Grant(source, destination, self.network, self.app, self.via, self.postures, self.origin)


class _Stored(msgspec.Struct, frozen=True):
    """The serialised form of a compiled policy: `policy` is all of it but its grants."""

    format: int
    ends: tuple[tuple[Alias, ...], ...]
    grants: tuple[_StoredGrant, ...]
    policy: CompiledPolicy


def _sharing(grants: Iterable[Grant]) -> tuple[Grant, ...]:
    known: dict[tuple[Alias, ...], End] = {}
    return tuple(
        replace(
            grant,
            source=known.setdefault(grant.source, End(grant.source)),
            destination=known.setdefault(grant.destination, End(grant.destination)),
        )
        for grant in grants
    )


ANYONE = Alias(AliasKind.ANY, "*")

ALLOW_ALL = CompiledPolicy(grants=(Grant((ANYONE,), (ANYONE,), (NetworkAccess(),), origin="default"),), allow_all=True)
"""The meaning of no policy, or of a policy without access rules."""

DENY_ALL = CompiledPolicy()
"""Allows nothing; used if a stored policy cannot be read."""
