"""Converts registry records into the evaluator's input, in every service: alone decides owner, tags, suspension.

Takes any record with the fields below: messages of `smartscale.types.v1`, the registry's own values, the map streamer's
snapshot. So registry, policy service, map streamer and gateway cannot disagree on who owns a node, whether its owner is
suspended, when it was created, or which posture attributes it has. Imports no stubs and does no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from services.shared.access.inputs import AccessNode, AccessUser
from services.shared.access.posture import attribute_text, hostinfo_attributes

Attributes = tuple[tuple[str, str], ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class NodeFields(Protocol):
    """A record of a node, with the fields that policies use."""

    @property
    def id(self) -> int:
        """Positive."""
        ...

    @property
    def user_id(self) -> int:
        """The owner; zero for none."""
        ...

    @property
    def tags(self) -> Iterable[str]:
        """Sorted."""
        ...

    @property
    def ipv4(self) -> str:
        """Address text, or empty."""
        ...

    @property
    def ipv6(self) -> str:
        """Address text, or empty."""
        ...

    @property
    def advertised_routes(self) -> Iterable[str]:
        """Masked CIDRs."""
        ...

    @property
    def approved_routes(self) -> Iterable[str]:
        """Masked CIDRs."""
        ...

    @property
    def primary_routes(self) -> Iterable[str]:
        """Masked CIDRs that it was elected for."""
        ...

    @property
    def online(self) -> bool:
        """True if a map session is open."""
        ...


class UserFields(Protocol):
    """A record of a user, with the fields that policies use."""

    @property
    def id(self) -> int:
        """Positive."""
        ...

    @property
    def name(self) -> str:
        """Unique in the tailnet."""
        ...

    @property
    def email(self) -> str:
        """Empty when not known."""
        ...

    @property
    def provider_id(self) -> str:
        """Issuer and subject; empty for a local user."""
        ...

    @property
    def role(self) -> str:
        """Empty in records of releases that had no roles: a member."""
        ...

    @property
    def groups(self) -> Iterable[str]:
        """Groups that the provider reports."""
        ...


class Suspendable(Protocol):
    """A record of a user, as far as access depends on it."""

    @property
    def suspended(self) -> bool:
        """True if the user's nodes have no access."""
        ...


def access_user(user: UserFields) -> AccessUser:
    """Convert a user into the evaluator's input."""
    return AccessUser(
        id=user.id,
        name=user.name,
        email=user.email,
        provider_id=user.provider_id,
        role=user.role or "member",
        groups=frozenset(user.groups),
    )


def access_node(
    node: NodeFields, created: datetime | Timestamp, attributes: Attributes = (), *, expired: bool = False
) -> AccessNode:
    """Convert a node into the evaluator's input; `expired`: its key has expired.

    Tags replace the owner. A node with an expired key serves no route: clients drop it, and another router
    must be elected. Presence counts for routers only, so that other nodes come and go without a
    change that the evaluator would have to look into.
    """
    tags, advertised = tuple(node.tags), tuple(node.advertised_routes)
    approved = () if expired else tuple(node.approved_routes)
    return AccessNode(
        id=node.id,
        user_id=0 if tags else node.user_id,
        tags=tags,
        ipv4=node.ipv4,
        ipv6=node.ipv6,
        advertised_routes=advertised,
        approved_routes=approved,
        online=node.online if advertised and approved else True,
        created=_microseconds(created),
        primary_routes=tuple(node.primary_routes) if approved and advertised else (),
        attributes=attributes,
    )


def _microseconds(time: datetime | Timestamp) -> int:
    if isinstance(time, Timestamp):
        return time.seconds * 1_000_000 + time.nanos // 1_000
    return (time - _EPOCH) // _MICROSECOND


def is_expired(recorded: bool, expiry: datetime | None, now: datetime) -> bool:
    """Return whether a key has expired: the registry recorded it, or its expiry has passed."""
    return recorded or (expiry is not None and expiry <= now)


def is_suspended(tags: Iterable[str], owner: Suspendable | None) -> bool:
    """Return whether a node has no access because its owner is suspended. Tagged nodes have no owner."""
    return owner is not None and owner.suspended and not any(True for _ in tags)


def posture_attributes(hostinfo: bytes, custom: Attributes = ()) -> Attributes:
    """Return the posture attributes of a node by key: of its stored hostinfo, and those that administrators set.

    None follow from a hostinfo that cannot be read.
    """
    try:
        found = hostinfo_attributes(hostinfo)
        return tuple(sorted((*found, *custom))) if custom else found
    except ValueError:
        return custom


class AttributeFields(Protocol):
    """A message with a posture attribute that administrators set."""

    @property
    def key(self) -> str:
        """Begins with "custom:"."""
        ...

    @property
    def string_value(self) -> str:
        """Empty unless it is a text."""
        ...

    @property
    def number_value(self) -> int:
        """Zero unless it is a number."""
        ...

    @property
    def bool_value(self) -> bool:
        """False unless it is true or false."""
        ...

    def WhichOneof(self, _: Literal["value"], /) -> str | None:
        """Return the name of the value's field."""
        ...


def attribute_value(attribute: AttributeFields) -> str | int | bool:
    """Return the value of a posture attribute; an empty text where it has none."""
    match attribute.WhichOneof("value"):
        case "number_value":
            return attribute.number_value
        case "bool_value":
            return attribute.bool_value
    return attribute.string_value


def custom_attributes(attributes: Iterable[AttributeFields]) -> Attributes:
    """Return posture attributes as policies compare them."""
    return tuple((one.key, attribute_text(attribute_value(one))) for one in attributes)


def instant(stamp: Timestamp) -> datetime:
    """Return a time in UTC, to the microsecond."""
    return stamp.ToDatetime(tzinfo=UTC)
