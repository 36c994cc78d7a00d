"""Neutral records of another control server's installation, from `services.moving` to each service's `importing`.

They are what the reader found, before any rule of ours is applied: the contract between `services.moving`, which knows
the old schemas, and the `importing` modules of registry, auth and policy, which know what our tables accept. Holds
values and problems only.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from services.shared.keys import DiscoKey, MachineKey, NodeKey


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """One row that could not be taken over as it is, and what was done about it."""

    kind: str
    """`user`, `node`, `preauthkey`, `apikey`, `route`, `policy`, `key` or `database`."""
    id: str
    """Id of the row, or the name of the thing."""
    what: str
    done: str


class Problems:
    """Collects problems while an installation is read and planned."""

    def __init__(self) -> None:
        self._found: list[ImportProblem] = []

    def add(self, kind: str, which: object, what: str, done: str) -> None:
        """Add a problem."""
        self._found.append(ImportProblem(kind, str(which), what, done))

    def all(self) -> tuple[ImportProblem, ...]:
        """Return all problems in the order of their discovery."""
        return tuple(self._found)


class Ids:
    """Allocator of ids for imported rows of one kind: the old id if it is free, else one never assigned."""

    def __init__(self, kind: str, last: int, problems: Problems) -> None:
        self._kind = kind
        self._problems = problems
        self.last = last
        """The greatest id given so far, by the old server or here."""

    def next(self) -> int:
        """Return an id that was never given."""
        self.last += 1
        return self.last

    def keep(self, wanted: int, taken: Container[int]) -> int:
        """Return the wanted id, or another if the tailnet has a row with it, which is noted."""
        if wanted not in taken:
            return wanted
        given = self.next()
        noun = _NOUNS.get(self._kind, self._kind)
        self._problems.add(self._kind, wanted, f"another {noun} of the tailnet has this id", f"given id {given}")
        return given


_NOUNS = {"preauthkey": "key", "apikey": "key"}


@dataclass(slots=True)
class Counts:
    """Number of rows of one kind by result: found, imported, left out."""

    found: int = 0
    imported: int = 0
    left_out: int = 0
    already_there: int = 0
    """Rows that the target has from an earlier import (`--merge`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedUser:
    """A user."""

    id: int
    name: str
    """As stored; empty if it was NULL."""
    display_name: str = ""
    email: str = ""
    provider_identifier: str = ""
    """Issuer, a slash and the subject; empty for a local user."""
    profile_pic_url: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedNode:
    """A node."""

    id: int
    machine_key: MachineKey
    node_key: NodeKey
    disco_key: DiscoKey
    hostname: str = ""
    given_name: str = ""
    user_id: int = 0
    """0: none."""
    ipv4: str = ""
    ipv6: str = ""
    forced_tags: tuple[str, ...] = ()
    """Tags given by an administrator or by a pre-auth key."""
    requested_by_policy: bool = False
    """True if this release granted requested tags by asking the policy each time (0.27 and earlier)."""
    hostinfo: bytes = b""
    """JSON as stored."""
    endpoints: tuple[str, ...] = ()
    expiry: datetime | None = None
    created_at: datetime | None = None
    last_seen: datetime | None = None
    ephemeral: bool = False
    register_method: str = ""
    """`authkey`, `cli`, `oidc` or empty."""
    pre_auth_key_id: int = 0
    announced_routes: tuple[str, ...] = ()
    """Routes that a `routes` table calls advertised; hostinfo may name more."""
    approved_routes: tuple[str, ...] = ()
    primary_routes: tuple[str, ...] = ()
    """Routes of which a `routes` table has it as the primary router."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPreAuthKey:
    """A pre-auth key, in one of the forms in which it can be stored: the plain text, or prefix and bcrypt hash."""

    id: int
    plain: str = field(default="", repr=False)
    prefix: str = ""
    hash: str = field(default="", repr=False)
    user_id: int = 0
    reusable: bool = False
    ephemeral: bool = False
    used: bool = False
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None
    expiration: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedApiKey:
    """An API key: prefix and bcrypt hash."""

    id: int
    prefix: str
    hash: str = field(repr=False)
    created_at: datetime | None = None
    expiration: datetime | None = None
    last_seen: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPolicy:
    """A policy document."""

    text: str
    origin: str
    """`database`, or the path of its file."""
    name: str = ""
    """File name, for messages; empty if it has none."""


@dataclass(slots=True)
class Installation:
    """Everything that was read of one installation, and the problems met on the way."""

    release: str
    database: str
    schema: str
    users: list[ImportedUser] = field(default_factory=list)
    nodes: list[ImportedNode] = field(default_factory=list)
    preauth_keys: list[ImportedPreAuthKey] = field(default_factory=list)
    api_keys: list[ImportedApiKey] = field(default_factory=list)
    policy: ImportedPolicy | None = None
    last_ids: dict[str, int] = field(default_factory=dict)
    """Greatest id ever given, by `user` and `node`, where the database remembers it."""
    counts: dict[str, Counts] = field(
        default_factory=lambda: {name: Counts() for name in ("users", "nodes", "preauthkeys", "apikeys", "routes")}
    )
    problems: Problems = field(default_factory=Problems)


def greatest(ids: Iterable[int], known: int | None) -> int:
    """Return the greatest of some ids and of the last id stored by the database."""
    return max((known or 0, *ids))
