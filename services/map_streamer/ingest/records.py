"""Decodes messages of registry and policy service into records and facts. Logs unreadable parts and replaces them."""

from __future__ import annotations

from smartscale.policy.v1 import policy_pb2
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import relay_pb2 as relay_types
from smartscale.types.v1 import user_pb2 as user_types

from services.map_streamer.snapshot import (
    Fact,
    NodePut,
    NodeRecord,
    NodeRemoved,
    PolicyPut,
    RelayPut,
    RelayRecord,
    RelayRemoved,
    SettingsPut,
    UserPut,
    UserRecord,
    UserRemoved,
)
from services.map_streamer.snapshot.records import ZERO_KEY
from services.shared.access.compiled import DENY_ALL, CompiledPolicy
from services.shared.inventory import custom_attributes, instant, posture_attributes
from services.shared.tailcfg.errors import ClientRequestError
from services.shared.tailcfg.hostinfo import for_peers
from services.shared.tailnet_settings import TailnetSettings
from services.shared.telemetry import get_logger

log = get_logger(__name__)


def _for_peers(node: node_types.Node) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    """Return the node's hostinfo for peers and its posture attributes; empty ones if it is unreadable."""
    custom = custom_attributes(node.custom_attributes) if node.custom_attributes else ()
    try:
        return for_peers(node.hostinfo), posture_attributes(node.hostinfo, custom)
    except (ValueError, AttributeError, ClientRequestError):
        log.warning("hostinfo of a record cannot be read", node_id=node.id)
        return b"{}", custom


def node_record(node: node_types.Node) -> NodeRecord:
    """Convert a node record of the registry."""
    hostinfo, attributes = _for_peers(node)
    return NodeRecord(
        id=node.id,
        stable_id=node.stable_id,
        machine_key=node.machine_key,
        node_key=node.node_key,
        disco_key=node.disco_key if len(node.disco_key) == len(ZERO_KEY) else ZERO_KEY,
        user_id=node.user_id,
        given_name=node.given_name,
        tags=tuple(node.tags),
        ipv4=node.ipv4,
        ipv6=node.ipv6,
        advertised_routes=tuple(node.advertised_routes),
        approved_routes=tuple(node.approved_routes),
        primary_routes=tuple(route for term in node.primary_terms for route in term.routes),
        hostinfo=hostinfo,
        attributes=attributes,
        endpoints=tuple(node.endpoints),
        endpoint_types=tuple(node.endpoint_types),
        home_derp=node.home_derp,
        cap_version=node.cap_version,
        created=instant(node.created_at),
        expiry=instant(node.expiry) if node.HasField("expiry") else None,
        last_seen=instant(node.last_seen) if node.HasField("last_seen") else None,
        online=node.online,
        recorded_expired=node.expired,
    )


def user_record(user: user_types.User) -> UserRecord:
    """Convert a user record of the registry."""
    return UserRecord(
        id=user.id,
        name=user.name,
        display_name=user.display_name,
        email=user.email,
        provider_id=user.provider_id,
        profile_pic_url=user.profile_pic_url,
        role=user.role or "member",
        groups=tuple(user.groups),
        suspended=user.suspended,
    )


def relay_record(relay: relay_types.Relay) -> RelayRecord:
    """Convert a relay record of the registry."""
    return RelayRecord(
        name=relay.name,
        region_id=relay.region_id,
        region_code=relay.region_code,
        region_name=relay.region_name,
        host_name=relay.host_name,
        cert_name=relay.cert_name,
        ipv4=relay.ipv4,
        ipv6=relay.ipv6,
        derp_port=relay.derp_port,
        stun_port=relay.stun_port,
    )


def stored_settings(data: bytes) -> TailnetSettings:
    """Decode the settings that administrators stored. Unreadable ones are none: the configuration is in force then."""
    try:
        return TailnetSettings.from_bytes(data)
    except ValueError as error:
        log.error("stored settings cannot be read, the configuration is used", error=str(error))
        return TailnetSettings()


def registry_fact(payload: bytes) -> Fact | None:
    """Decode a record of the registry's log. Returns None for a kind of change that this release does not know."""
    change = registry_pb2.Change.FromString(payload)
    match change.WhichOneof("fact"):
        case "node_put" if change.node_put.id > 0:
            return NodePut(node_record(change.node_put))
        case "node_removed":
            return NodeRemoved(change.node_removed)
        case "user_put":
            return UserPut(user_record(change.user_put))
        case "user_removed":
            return UserRemoved(change.user_removed)
        case "relay_put":
            return RelayPut(relay_record(change.relay_put))
        case "relay_removed":
            return RelayRemoved(change.relay_removed)
        case "settings_put":
            return SettingsPut(stored_settings(change.settings_put))
        case _:
            return None


def policy_fact(payload: bytes) -> Fact | None:
    """Decode a record of the policy service's log."""
    return PolicyPut(compiled(policy_pb2.Change.FromString(payload).compiled))


def compiled(data: bytes) -> CompiledPolicy:
    """Decode a compiled policy. An unreadable one denies everything: to allow everything would be the worse failure."""
    try:
        return CompiledPolicy.from_bytes(data)
    except ValueError as error:
        log.error("compiled policy cannot be read, nothing is allowed", error=str(error))
        return DENY_ALL
