"""Reads request messages into arguments of the use cases. Refuses malformed fields by name."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.registry.v1 import registry_pb2 as pb

from services.registry.model.endpoint import read_endpoints
from services.registry.model.errors import InvalidInputError
from services.registry.model.hostinfo import read_hostinfo
from services.registry.model.node import RegisterMethod
from services.registry.model.tag import read_tags
from services.registry.usecases.addresses import ChosenAddresses
from services.registry.usecases.admission import AdmitRequest
from services.registry.usecases.attributes import AttributeChange
from services.registry.usecases.listing import NodeFilter
from services.registry.usecases.people import Person
from services.registry.usecases.presence import SessionReport
from services.registry.usecases.rights import LoginGroups, RightsChange
from services.registry.usecases.updates import NodeReport, Order
from services.registry.wire import attribute_from_proto
from services.shared.ids import NodeId, UserId
from services.shared.keys import DiscoKey, MachineKey, NodeKey, PublicKey
from services.shared.rpc.presence import SessionsDigest

K = TypeVar("K", bound=PublicKey)

MAX_ID = (1 << 63) - 1
MAX_SESSIONS = 100_000
_GATEWAY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")
_LAST = datetime(9999, 1, 1, tzinfo=UTC)


def read_key(kind: type[K], what: str, raw: bytes) -> K:
    """Read a required key.

    Raises:
        InvalidInputError: it has not 32 bytes, or all are zero.
    """
    if len(raw) != 32 or not any(raw):
        raise InvalidInputError(f"{what} is 32 bytes that are not all zero")
    return kind(raw)


def read_optional_key(kind: type[K], what: str, raw: bytes) -> K | None:
    """Read an optional key; empty or zero means none.

    Raises:
        InvalidInputError: it has neither 0 nor 32 bytes.
    """
    if not any(raw) and len(raw) in (0, 32):
        return None
    return read_key(kind, what, raw)


def read_number(what: str, value: int) -> int:
    """Read a number that the database can store.

    Raises:
        InvalidInputError: it is too large.
    """
    if not 0 <= value <= MAX_ID:
        raise InvalidInputError(f"{what} is too large")
    return value


def read_node_id(value: int) -> NodeId:
    """Read a node id; ids too large for the database become one that no node has."""
    return NodeId(min(value, MAX_ID))


def read_user_id(value: int) -> UserId:
    """Read a user id; ids too large for the database become one that no user has."""
    return UserId(min(value, MAX_ID))


def read_instant(what: str, stamp: Timestamp) -> datetime:
    """Read an instant in the range that all our parts support.

    Raises:
        InvalidInputError: it lies outside the years 1 to 9998.
    """
    try:
        value: datetime = stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInputError(f"{what} is not a time") from None
    if value >= _LAST:
        raise InvalidInputError(f"{what} is not a time")
    return value


def node_filter(request: pb.ListNodesRequest) -> NodeFilter:
    """Read the filter of ListNodes."""
    return NodeFilter(
        user_id=read_user_id(request.user_id) if request.user_id else None,
        after=min(request.after, MAX_ID),
        limit=request.limit or None,
        tag=request.tag or None,
        online=request.online if request.HasField("online") else None,
        routers_only=request.routers_only,
    )


def rights_change(request: pb.ChangeRightsRequest) -> RightsChange:
    """Read the change of ChangeRights; the use case checks the texts."""
    standings = {pb.STANDING_SUSPENDED: True, pb.STANDING_GOOD: False}
    return RightsChange(
        user_id=read_user_id(request.user_id),
        number=read_number("number", request.number),
        suspended=standings.get(request.standing),
        source=request.source,
        actor=request.actor,
        reason=request.reason,
        login=_login_groups(request.groups) if request.HasField("groups") else None,
    )


def _login_groups(message: pb.LoginGroups) -> LoginGroups:
    return LoginGroups(message.issuer, message.subject, tuple(message.names))


def person(request: pb.UpsertLoginRequest) -> Person:
    """Return the person of UpsertLogin; the use case checks the fields."""
    return Person(
        issuer=request.issuer,
        subject=request.subject,
        names=tuple(request.names),
        display_name=request.display_name,
        email=request.email,
        profile_pic_url=request.profile_pic_url,
        namespace=request.namespace,
        groups=None if request.groups_unknown else tuple(request.groups),
    )


def admit_request(request: pb.AdmitNodeRequest, machine: MachineKey) -> AdmitRequest:
    """Return the request of AdmitNode.

    Raises:
        InvalidInputError: a field cannot be accepted.
    """
    return AdmitRequest(
        machine_key=machine,
        node_key=read_key(NodeKey, "node_key", request.node_key),
        old_node_key=read_optional_key(NodeKey, "old_node_key", request.old_node_key),
        user_id=read_user_id(request.user_id),
        tags=read_tags(request.tags),
        ephemeral=request.ephemeral,
        expiry=read_instant("expiry", request.expiry) if request.HasField("expiry") else None,
        endless=request.no_expiry,
        hostinfo=read_hostinfo(request.hostinfo),
        cap_version=read_cap_version(request.cap_version),
        register_method=read_method(request.register_method),
        pre_auth_key_id=read_number("pre_auth_key_id", request.pre_auth_key_id),
        addresses=ChosenAddresses(request.ipv4, request.ipv6),
    )


def report(request: pb.UpdateNodeRequest, machine: MachineKey) -> NodeReport:
    """Return the report of UpdateNode.

    Raises:
        InvalidInputError: a field cannot be accepted.
    """
    endpoints, types = read_endpoints(request.endpoints, request.endpoint_types)
    order = None
    if request.gateway_id:
        order = Order(read_gateway_id(request.gateway_id), read_number("order", request.order))
    return NodeReport(
        machine_key=machine,
        node_key=read_key(NodeKey, "node_key", request.node_key),
        disco_key=read_optional_key(DiscoKey, "disco_key", request.disco_key) or DiscoKey.zero(),
        endpoints=endpoints,
        endpoint_types=types,
        hostinfo=request.hostinfo or None,
        cap_version=read_cap_version(request.cap_version),
        order=order,
    )


def session_report(request: pb.ReportSessionsRequest) -> SessionReport:
    """Return the report of ReportSessions.

    Raises:
        InvalidInputError: a field cannot be accepted.
    """
    if len(request.opened) + len(request.closed) + len(request.lost) > 2 * MAX_SESSIONS:
        raise InvalidInputError(f"more than {MAX_SESSIONS} sessions in one report")
    return SessionReport(
        gateway_id=read_gateway_id(request.gateway_id),
        opened=tuple((read_number("session_id", one.session_id), read_node_id(one.node_id)) for one in request.opened),
        closed=tuple(read_number("session_id", one.session_id) for one in request.closed),
        stopping=request.stopping,
        complete=request.complete,
        lost=frozenset(read_number("session_id", one) for one in request.lost),
        digest=SessionsDigest(request.digest.count, request.digest.checksum) if request.HasField("digest") else None,
    )


def read_gateway_id(text: str) -> str:
    """Read the id that a gateway has for its run.

    Raises:
        InvalidInputError: it is empty, too long, or has odd characters.
    """
    if not _GATEWAY.match(text):
        raise InvalidInputError("gateway_id has 1 to 128 letters, digits, '.', '_', ':' and '-'")
    return text


def read_cap_version(value: int) -> int:
    """Read a capability version.

    Raises:
        InvalidInputError: it is negative.
    """
    if value < 0:
        raise InvalidInputError("cap_version is negative")
    return value


def read_method(value: int) -> RegisterMethod:
    """Read the method by which a node was admitted.

    Raises:
        InvalidInputError: the number has no meaning.
    """
    try:
        return RegisterMethod(value)
    except ValueError:
        raise InvalidInputError("register_method is not known") from None


def attribute_change(message: pb.NodeAttributes) -> AttributeChange:
    """Read the attributes of one node; those without a value are to be removed.

    Raises:
        InvalidInputError: an expiry is no time.
    """
    put = [one for one in message.attributes if one.WhichOneof("value")]
    for one in put:
        if one.HasField("expiry"):
            read_instant("expiry", one.expiry)
    removed = [one.key for one in message.attributes if not one.WhichOneof("value")]
    return AttributeChange(message.node, list(map(attribute_from_proto, put)), removed)
