"""Converts the registry's records to columns of its tables and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping

from services.registry.model.attribute import CustomAttribute
from services.registry.model.departure import Departure, DepartureReason
from services.registry.model.link import Link
from services.registry.model.node import Node, RegisterMethod
from services.registry.model.relay import Relay
from services.registry.model.term import ElectionReason, PrimaryTerm
from services.registry.model.user import User
from services.shared.ids import NodeId, TailnetId, UserId
from services.shared.keys import DiscoKey, MachineKey, NodeKey

Columns = Mapping[str, Any]


def node_columns(node: Node, tailnet: TailnetId) -> Columns:
    """Return the columns of a node."""
    return {
        "id": node.id,
        "tailnet_id": tailnet,
        "stable_id": node.stable_id,
        "machine_key": node.machine_key.raw,
        "node_key": node.node_key.raw,
        "disco_key": node.disco_key.raw,
        "user_id": node.user_id,
        "hostname": node.hostname,
        "given_name": node.given_name,
        "given_name_fixed": node.given_name_fixed,
        "ipv4": node.ipv4 or None,
        "ipv6": node.ipv6 or None,
        "tags": _list(node.tags),
        "hostinfo": node.hostinfo,
        "endpoints": _list(node.endpoints),
        "endpoint_types": _list(node.endpoint_types),
        "home_derp": node.home_derp,
        "cap_version": node.cap_version,
        "created_at": node.created_at,
        "expiry": node.expiry,
        "expired": node.expired,
        "last_seen": node.last_seen,
        "online": node.online,
        "ephemeral": node.ephemeral,
        "register_method": int(node.register_method),
        "pre_auth_key_id": node.pre_auth_key_id,
        "advertised_routes": _list(node.advertised_routes),
        "approved_routes": _list(node.approved_routes),
        "requested_tags": _list(node.requested_tags),
        "reported_by": node.reported_by,
        "report_order": node.report_order,
        "disabled_expiry": node.disabled_expiry,
        "primary_terms": _terms(node.primary_terms),
        "preferred_routes": _list(node.preferred_routes),
        "healthy_since": node.healthy_since,
        "custom_attributes": _attributes(node.custom_attributes),
    }


def node_of(row: RowMapping) -> Node:
    """Return a node from its columns."""
    return Node(
        id=NodeId(row["id"]),
        stable_id=row["stable_id"],
        machine_key=MachineKey(row["machine_key"]),
        node_key=NodeKey(row["node_key"]),
        disco_key=DiscoKey(row["disco_key"]),
        user_id=UserId(row["user_id"]),
        hostname=row["hostname"],
        given_name=row["given_name"],
        given_name_fixed=row["given_name_fixed"],
        ipv4=row["ipv4"] or "",
        ipv6=row["ipv6"] or "",
        tags=_tuple(row["tags"]),
        hostinfo=row["hostinfo"],
        endpoints=_tuple(row["endpoints"]),
        endpoint_types=_tuple(row["endpoint_types"]),
        home_derp=row["home_derp"],
        cap_version=row["cap_version"],
        created_at=row["created_at"],
        expiry=row["expiry"],
        expired=row["expired"],
        last_seen=row["last_seen"],
        online=row["online"],
        ephemeral=row["ephemeral"],
        register_method=RegisterMethod(row["register_method"]),
        pre_auth_key_id=row["pre_auth_key_id"],
        advertised_routes=_tuple(row["advertised_routes"]),
        approved_routes=_tuple(row["approved_routes"]),
        requested_tags=_tuple(row["requested_tags"]),
        reported_by=row["reported_by"],
        report_order=row["report_order"],
        disabled_expiry=row["disabled_expiry"],
        primary_terms=tuple(map(_term, orjson.loads(row["primary_terms"]))),
        preferred_routes=_tuple(row["preferred_routes"]),
        healthy_since=row["healthy_since"],
        custom_attributes=tuple(map(_attribute, orjson.loads(row["custom_attributes"]))),
    )


def _attributes(attributes: tuple[CustomAttribute, ...]) -> str:
    return orjson.dumps([(one.key, one.value, one.expiry, one.comment) for one in attributes]).decode()


def _attribute(fields: Sequence[Any]) -> CustomAttribute:
    key, value, expiry, comment = fields
    return CustomAttribute(key, value, datetime.fromisoformat(expiry) if expiry else None, comment)


def user_columns(user: User, tailnet: TailnetId) -> Columns:
    """Return the columns of a user."""
    return {
        "id": user.id,
        "tailnet_id": tailnet,
        "name": user.name,
        "display_name": user.display_name,
        "email": user.email,
        "provider_id": user.provider_id,
        "provider": user.provider,
        "profile_pic_url": user.profile_pic_url,
        "role": user.role,
        "groups": _list(user.groups),
        "suspended": user.suspended,
        "created_at": user.created_at,
    }


def user_of(row: RowMapping) -> User:
    """Return a user from its columns."""
    return User(
        id=UserId(row["id"]),
        name=row["name"],
        display_name=row["display_name"],
        email=row["email"],
        provider_id=row["provider_id"],
        provider=row["provider"],
        profile_pic_url=row["profile_pic_url"],
        role=row["role"],
        groups=_tuple(row["groups"]),
        suspended=row["suspended"],
        created_at=row["created_at"],
    )


def link_columns(link: Link) -> Columns:
    """Return the columns of a link."""
    return {
        "issuer": link.issuer,
        "subject": link.subject,
        "user_id": link.user_id,
        "created_at": link.created_at,
        "last_login": link.last_login,
        "display_name": link.display_name,
        "email": link.email,
        "groups": None if link.groups is None else _list(link.groups),
        "namespace": link.namespace,
        "since": orjson.dumps(dict(link.since)).decode(),
    }


def link_of(row: RowMapping) -> Link:
    """Return a link from its columns."""
    return Link(
        issuer=row["issuer"],
        subject=row["subject"],
        user_id=UserId(row["user_id"]),
        created_at=row["created_at"],
        last_login=row["last_login"],
        display_name=row["display_name"],
        email=row["email"],
        groups=None if row["groups"] is None else _tuple(row["groups"]),
        namespace=row["namespace"],
        since=tuple((name, datetime.fromisoformat(time)) for name, time in orjson.loads(row["since"]).items()),
    )


def relay_columns(relay: Relay, tailnet: TailnetId) -> Columns:
    """Return the columns of a relay."""
    return {
        "tailnet_id": tailnet,
        "name": relay.name,
        "region_id": relay.region_id,
        "region_code": relay.region_code,
        "region_name": relay.region_name,
        "host_name": relay.host_name,
        "cert_name": relay.cert_name,
        "ipv4": relay.ipv4,
        "ipv6": relay.ipv6,
        "derp_port": relay.derp_port,
        "stun_port": relay.stun_port,
    }


def relay_of(row: RowMapping) -> Relay:
    """Return a relay from its columns."""
    return Relay(
        region_id=row["region_id"],
        region_code=row["region_code"],
        region_name=row["region_name"],
        name=row["name"],
        host_name=row["host_name"],
        cert_name=row["cert_name"],
        ipv4=row["ipv4"],
        ipv6=row["ipv6"],
        derp_port=row["derp_port"],
        stun_port=row["stun_port"],
    )


def departure_columns(departure: Departure, tailnet: TailnetId) -> Columns:
    """Return the columns of a departure."""
    return {
        "tailnet_id": tailnet,
        "ipv4": departure.ipv4,
        "ipv6": departure.ipv6,
        "node_id": departure.node_id,
        "machine_key": departure.machine_key.raw,
        "user_id": departure.user_id,
        "tags": _list(departure.tags),
        "hostname": departure.hostname,
        "given_name": departure.given_name,
        "given_name_fixed": departure.given_name_fixed,
        "reason": int(departure.reason),
        "departed_at": departure.at,
    }


def departure_of(row: RowMapping) -> Departure:
    """Return a departure from its columns."""
    return Departure(
        node_id=NodeId(row["node_id"]),
        machine_key=MachineKey(row["machine_key"]),
        user_id=UserId(row["user_id"]),
        tags=_tuple(row["tags"]),
        hostname=row["hostname"],
        given_name=row["given_name"],
        given_name_fixed=row["given_name_fixed"],
        ipv4=row["ipv4"],
        ipv6=row["ipv6"],
        reason=DepartureReason(row["reason"]),
        at=row["departed_at"],
    )


def _list(values: tuple[str, ...] | tuple[int, ...]) -> str:
    return orjson.dumps(values).decode() if values else "[]"


def _terms(terms: tuple[PrimaryTerm, ...]) -> str:
    rows = [(term.since.isoformat(), int(term.reason), term.former, term.routes) for term in terms]
    return orjson.dumps(rows).decode() if rows else "[]"


def _term(row: tuple[str, int, int, list[str]]) -> PrimaryTerm:
    since, reason, former, routes = row
    return PrimaryTerm(datetime.fromisoformat(since), ElectionReason(reason), tuple(routes), NodeId(former))


def _tuple(text: str) -> tuple[Any, ...]:
    return tuple(orjson.loads(text))
