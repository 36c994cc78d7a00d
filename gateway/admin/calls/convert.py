"""Converts our internal messages to Headscale's public ones. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from headscale.v1 import apikey_pb2, node_pb2, preauthkey_pb2, user_pb2
from smartscale.auth.v1 import auth_pb2
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.shared.access.election import served_routes
from services.shared.access.inputs import AccessNode
from services.shared.ids import TAGGED_DEVICES_USER
from services.shared.inventory import access_node, instant, is_expired
from services.shared.keys import DiscoKey, MachineKey, NodeKey

YEAR_ONE = Timestamp(seconds=-62135596800)
"""Go's zero time: older clients need one, and this is what they know as none."""

TAGGED_DEVICES = user_pb2.User(
    id=TAGGED_DEVICES_USER, name="tagged-devices", display_name="Tagged Devices", created_at=YEAR_ONE
)

_API_KEY = "hskey-api-"
_MASK = "***"
_PREFIX_LENGTH = 12
"""Characters of a prefix since Headscale 0.28."""
EXIT_ROUTES = ("0.0.0.0/0", "::/0")

Users = Mapping[int, user_types.User]


def by_id(users: Iterable[user_types.User]) -> dict[int, user_types.User]:
    """Users by their id."""
    return {user.id: user for user in users}


def user(found: user_types.User) -> user_pb2.User:
    """Return a user; one without a name shows its e-mail or provider id instead, as Headscale's does."""
    return user_pb2.User(
        id=found.id,
        name=found.name or found.email or found.provider_id,
        created_at=found.created_at if found.HasField("created_at") else None,
        display_name=found.display_name,
        email=found.email,
        provider_id=found.provider_id,
        provider=found.provider,
        profile_pic_url=found.profile_pic_url,
    )


def owner(user_id: int, users: Users) -> user_pb2.User:
    """Return the owner of a node: the synthetic tagged-devices when no user owns it."""
    found = users.get(user_id)
    return user(found) if found is not None else TAGGED_DEVICES


def pre_auth_key(found: auth_pb2.PreAuthKey, users: Users) -> preauthkey_pb2.PreAuthKey:
    """Return a pre-auth key; without an owner when tags own its nodes.

    A reusable key is never shown as used, as in Headscale since 0.25.
    """
    holder = users.get(found.user_id)
    return preauthkey_pb2.PreAuthKey(
        user=user(holder) if holder is not None else None,
        id=found.id,
        key=found.key,
        reusable=found.reusable,
        ephemeral=found.ephemeral,
        used=found.used and not found.reusable,
        expiration=found.expiration if found.HasField("expiration") else None,
        created_at=found.created_at if found.HasField("created_at") else None,
        acl_tags=found.tags,
    )


def api_key(found: auth_pb2.ApiKey) -> apikey_pb2.ApiKey:
    """Return an API key without its secret."""
    return apikey_pb2.ApiKey(
        id=found.id,
        prefix=masked(found.prefix),
        expiration=found.expiration if found.HasField("expiration") else None,
        created_at=found.created_at if found.HasField("created_at") else None,
        last_seen=found.last_seen if found.HasField("last_seen") else None,
    )


def masked(prefix: str) -> str:
    """Return the prefix of an API key as Headscale lists it: the whole key with its secret part masked.

    Keys of releases up to 0.27 have shorter prefixes, and no `hskey-api-`.
    """
    return f"{_API_KEY}{prefix}-{_MASK}" if len(prefix) == _PREFIX_LENGTH else prefix + _MASK


def node(
    found: node_types.Node,
    users: Users,
    keys: Mapping[int, auth_pb2.PreAuthKey] | None = None,
    served: Iterable[str] = (),
) -> node_pb2.Node:
    """Return a node; `keys` are the pre-auth keys by id, if the caller has them, `served` its served routes."""
    key = (keys or {}).get(found.pre_auth_key_id)
    return node_pb2.Node(
        id=found.id,
        machine_key=str(MachineKey(found.machine_key)),
        node_key=str(NodeKey(found.node_key)),
        disco_key=str(DiscoKey(found.disco_key or bytes(32))),
        ip_addresses=[address for address in (found.ipv4, found.ipv6) if address],
        name=found.hostname,
        user=owner(found.user_id, users),
        last_seen=_last_seen(found),
        expiry=found.expiry if found.HasField("expiry") else None,
        pre_auth_key=pre_auth_key(key, users) if key is not None else None,
        created_at=found.created_at if found.HasField("created_at") else None,
        register_method=node_pb2.RegisterMethod.ValueType(found.register_method),
        given_name=found.given_name,
        online=found.online,
        approved_routes=found.approved_routes,
        available_routes=found.advertised_routes,
        subnet_routes=served,
        tags=found.tags,
    )


def _last_seen(found: node_types.Node) -> Timestamp:
    """Return `last_seen`; older clients need a time, so now if connected, and the admission if never connected."""
    if found.HasField("last_seen"):
        return found.last_seen
    if not found.online:
        return found.created_at
    now = Timestamp()
    now.GetCurrentTime()
    return now


def served(nodes: Iterable[node_types.Subject], now: datetime) -> dict[int, list[str]]:
    """Return the routes that each router serves, by node id, as clients are shown them."""
    routers = [_router(node, now) for node in nodes if not node.suspended]
    return {number: sorted(routes, key=network_order) for number, routes in served_routes(routers).items()}


def _router(node: node_types.Subject, now: datetime) -> AccessNode:
    expiry = instant(node.expiry) if node.HasField("expiry") else None
    return access_node(node, node.created_at, expired=is_expired(node.expired, expiry, now))


def network_order(route: str) -> tuple[bool, int, int, int]:
    """Subnet routes before exit routes, IPv4 before IPv6."""
    network = ipaddress.ip_network(route, strict=False)
    return route in EXIT_ROUTES, network.version, int(network.network_address), network.prefixlen
