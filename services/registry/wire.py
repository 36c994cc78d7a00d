"""Registry records as protobuf messages and back, for `rpc` and the change log."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import relay_pb2 as relay_types
from smartscale.types.v1 import user_pb2 as user_types

from services.registry.model.attribute import CustomAttribute
from services.registry.model.node import Node, RegisterMethod
from services.registry.model.relay import Relay
from services.registry.model.term import ElectionReason, PrimaryTerm
from services.registry.model.user import User
from services.shared.ids import NodeId, TailnetId, UserId
from services.shared.inventory import attribute_value, posture_attributes
from services.shared.keys import DiscoKey, MachineKey, NodeKey

_EPOCH = datetime.fromtimestamp(0, UTC)
_NODE_BYTES = 512
"""Bytes of a record without its variable parts, rounded up."""
_TEXT_BYTES = 64
"""Bytes of an endpoint, a route, a tag or a group, rounded up."""

_ATTRIBUTE_BYTES = 512
"""Bytes of a posture attribute with its comment, rounded up."""


def to_timestamp(value: datetime) -> Timestamp:
    """Convert an instant to a protobuf timestamp."""
    since = value - _EPOCH
    return Timestamp(seconds=since.days * 86400 + since.seconds, nanos=since.microseconds * 1000)


def from_timestamp(stamp: Timestamp) -> datetime:
    """Return an instant in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def node_to_proto(node: Node, tailnet: TailnetId) -> node_types.Node:
    """Return a node as a message."""
    message = node_types.Node(
        id=node.id,
        tailnet_id=tailnet,
        stable_id=node.stable_id,
        machine_key=node.machine_key.raw,
        node_key=node.node_key.raw,
        disco_key=node.disco_key.raw,
        user_id=node.user_id,
        hostname=node.hostname,
        given_name=node.given_name,
        given_name_fixed=node.given_name_fixed,
        ipv4=node.ipv4,
        ipv6=node.ipv6,
        tags=node.tags,
        hostinfo=node.hostinfo,
        endpoints=node.endpoints,
        endpoint_types=node.endpoint_types,
        home_derp=node.home_derp,
        cap_version=node.cap_version,
        created_at=to_timestamp(node.created_at),
        expired=node.expired,
        online=node.online,
        ephemeral=node.ephemeral,
        register_method=node_types.RegisterMethod.ValueType(node.register_method),
        pre_auth_key_id=node.pre_auth_key_id,
        advertised_routes=node.advertised_routes,
        approved_routes=node.approved_routes,
        requested_tags=node.requested_tags,
        reported_by=node.reported_by,
        report_order=node.report_order,
        primary_terms=map(_term_to_proto, node.primary_terms),
        preferred_routes=node.preferred_routes,
        custom_attributes=map(_attribute_to_proto, node.custom_attributes),
    )
    if node.healthy_since is not None:
        message.healthy_since.CopyFrom(to_timestamp(node.healthy_since))
    if node.expiry is not None:
        message.expiry.CopyFrom(to_timestamp(node.expiry))
    if node.disabled_expiry is not None:
        message.disabled_expiry.CopyFrom(to_timestamp(node.disabled_expiry))
    if node.last_seen is not None:
        message.last_seen.CopyFrom(to_timestamp(node.last_seen))
    return message


def node_from_proto(message: node_types.Node) -> Node:
    """Return a node from one of our own messages."""
    return Node(
        id=NodeId(message.id),
        stable_id=message.stable_id,
        machine_key=MachineKey(message.machine_key),
        node_key=NodeKey(message.node_key),
        disco_key=DiscoKey(message.disco_key),
        user_id=UserId(message.user_id),
        hostname=message.hostname,
        given_name=message.given_name,
        given_name_fixed=message.given_name_fixed,
        ipv4=message.ipv4,
        ipv6=message.ipv6,
        tags=tuple(message.tags),
        hostinfo=message.hostinfo,
        endpoints=tuple(message.endpoints),
        endpoint_types=tuple(message.endpoint_types),
        home_derp=message.home_derp,
        cap_version=message.cap_version,
        created_at=from_timestamp(message.created_at),
        expiry=from_timestamp(message.expiry) if message.HasField("expiry") else None,
        disabled_expiry=from_timestamp(message.disabled_expiry) if message.HasField("disabled_expiry") else None,
        expired=message.expired,
        last_seen=from_timestamp(message.last_seen) if message.HasField("last_seen") else None,
        online=message.online,
        ephemeral=message.ephemeral,
        register_method=RegisterMethod(message.register_method),
        pre_auth_key_id=message.pre_auth_key_id,
        advertised_routes=tuple(message.advertised_routes),
        approved_routes=tuple(message.approved_routes),
        requested_tags=tuple(message.requested_tags),
        reported_by=message.reported_by,
        report_order=message.report_order,
        primary_terms=tuple(map(_term_from_proto, message.primary_terms)),
        preferred_routes=tuple(message.preferred_routes),
        healthy_since=from_timestamp(message.healthy_since) if message.HasField("healthy_since") else None,
        custom_attributes=tuple(map(attribute_from_proto, message.custom_attributes)),
    )


def _attribute_to_proto(attribute: CustomAttribute) -> node_types.CustomAttribute:
    message = node_types.CustomAttribute(key=attribute.key, comment=attribute.comment)
    value = attribute.value
    if isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int):
        message.number_value = value
    else:
        message.string_value = value
    if attribute.expiry is not None:
        message.expiry.CopyFrom(to_timestamp(attribute.expiry))
    return message


def attribute_from_proto(message: node_types.CustomAttribute) -> CustomAttribute:
    """Return an attribute from a message that has a value, unchecked."""
    expiry = from_timestamp(message.expiry) if message.HasField("expiry") else None
    return CustomAttribute(message.key, attribute_value(message), expiry, message.comment)


def _term_to_proto(term: PrimaryTerm) -> node_types.PrimaryTerm:
    return node_types.PrimaryTerm(
        since=to_timestamp(term.since),
        reason=node_types.ElectionReason.ValueType(term.reason),
        former_node_id=term.former,
        routes=term.routes,
    )


def _term_from_proto(message: node_types.PrimaryTerm) -> PrimaryTerm:
    known = int(message.reason) in set(map(int, ElectionReason))
    reason = ElectionReason(message.reason) if known else ElectionReason.UNKNOWN
    since = from_timestamp(message.since)
    return PrimaryTerm(since, reason, tuple(message.routes), NodeId(message.former_node_id))


def node_size(node: Node) -> int:
    """Estimate the bytes of a node's message; cheaper than encoding it."""
    attributes = _ATTRIBUTE_BYTES * len(node.custom_attributes)
    return _NODE_BYTES + len(node.hostinfo) + _TEXT_BYTES * (len(node.endpoints) + _texts(node)) + attributes


def subject_to_proto(node: Node, suspended: bool) -> node_types.Subject:
    """Convert a node to the subject that policies see; `suspended` is its owner's state."""
    message = node_types.Subject(
        id=node.id,
        given_name=node.given_name,
        user_id=node.user_id,
        tags=node.tags,
        ipv4=node.ipv4,
        ipv6=node.ipv6,
        advertised_routes=node.advertised_routes,
        approved_routes=node.approved_routes,
        attributes=dict(posture_attributes(node.hostinfo, node.attribute_texts)),
        created_at=to_timestamp(node.created_at),
        expired=node.expired,
        online=node.online,
        suspended=suspended,
        primary_routes=node.primary_routes,
    )
    if node.expiry is not None:
        message.expiry.CopyFrom(to_timestamp(node.expiry))
    return message


def subject_size(node: Node) -> int:
    """Estimate the bytes of a subject's message."""
    return _NODE_BYTES + _TEXT_BYTES * _texts(node) + _ATTRIBUTE_BYTES * len(node.custom_attributes)


def _texts(node: Node) -> int:
    routes = len(node.advertised_routes) + len(node.approved_routes) + len(node.preferred_routes)
    return routes + len(node.primary_routes) + len(node.tags) + len(node.requested_tags)


def user_size(user: User) -> int:
    """Estimate the bytes of a user's message."""
    return _NODE_BYTES + len(user.profile_pic_url) + _TEXT_BYTES * len(user.groups)


def user_to_proto(user: User, tailnet: TailnetId) -> user_types.User:
    """Return a user as a message."""
    return user_types.User(
        id=user.id,
        tailnet_id=tailnet,
        name=user.name,
        display_name=user.display_name,
        email=user.email,
        provider_id=user.provider_id,
        provider=user.provider,
        profile_pic_url=user.profile_pic_url,
        created_at=to_timestamp(user.created_at),
        role=user.role,
        groups=user.groups,
        suspended=user.suspended,
    )


def user_from_proto(message: user_types.User) -> User:
    """Return a user from one of our own messages."""
    return User(
        id=UserId(message.id),
        name=message.name,
        created_at=from_timestamp(message.created_at),
        display_name=message.display_name,
        email=message.email,
        provider_id=message.provider_id,
        provider=message.provider,
        profile_pic_url=message.profile_pic_url,
        role=message.role,
        groups=tuple(message.groups),
        suspended=message.suspended,
    )


def relay_to_proto(relay: Relay) -> relay_types.Relay:
    """Return a relay as a message."""
    return relay_types.Relay(
        region_id=relay.region_id,
        region_code=relay.region_code,
        region_name=relay.region_name,
        name=relay.name,
        host_name=relay.host_name,
        cert_name=relay.cert_name,
        ipv4=relay.ipv4,
        ipv6=relay.ipv6,
        derp_port=relay.derp_port,
        stun_port=relay.stun_port,
    )


def relay_from_proto(message: relay_types.Relay) -> Relay:
    """Return a relay from a message, unchecked."""
    return Relay(
        region_id=message.region_id,
        region_code=message.region_code,
        region_name=message.region_name,
        name=message.name,
        host_name=message.host_name,
        cert_name=message.cert_name,
        ipv4=message.ipv4,
        ipv6=message.ipv6,
        derp_port=message.derp_port,
        stun_port=message.stun_port,
    )
