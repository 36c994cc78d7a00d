"""The registry, asked when the policy file is read while the service runs: its tests need nodes and users.

Everywhere else questions go the other way, and whoever asks to set a policy brings the tailnet along. A file brings
nobody. An answer is never waited for long, and none is needed to start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc.aio
from google.protobuf.message import DecodeError
from smartscale.common.v1 import common_pb2
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.policy.model.checks.population import Population
from services.shared.access.inputs import AccessNode, AccessUser
from services.shared.access.posture import hostinfo_attributes
from services.shared.bus import Bus, Message
from services.shared.ids import TailnetId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

TIMEOUT = 5.0


class RegistryClient:
    """The nodes and users of the tailnet, over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)

    async def population(self) -> Population | None:
        """The tailnet as it is; None when the registry does not answer."""
        try:
            users = (await self._stub.ListUsers(registry_pb2.ListUsersRequest(), timeout=TIMEOUT)).users
            nodes = (await self._stub.ListNodes(registry_pb2.ListNodesRequest(), timeout=TIMEOUT)).nodes
        except grpc.aio.AioRpcError:
            return None
        return Population(tuple(_user(user) for user in users), tuple(_node(node) for node in nodes))


class UserFollower:
    """Calls back whenever users may have changed. A document that names somebody unknown may be acceptable then."""

    def __init__(self, bus: Bus, tailnet: TailnetId, changed: Callable[[], Awaitable[object]]) -> None:
        self._bus = bus
        self._topic = f"smartscale.{tailnet}.registry.changes"
        self._changed = changed

    async def run(self) -> None:
        """Follow for ever."""
        async with self._bus.subscribe(self._topic) as messages:
            async for message in messages:
                if isinstance(message, Message) and not _tells_of_users(message.payload):
                    continue
                try:
                    await self._changed()
                except Exception:
                    log.exception("taking the policy again failed")


def _tells_of_users(payload: bytes) -> bool:
    try:
        batch = common_pb2.ChangeBatch.FromString(payload)
        kinds = {registry_pb2.Change.FromString(record.payload).WhichOneof("fact") for record in batch.records}
    except DecodeError:
        return False
    return not kinds.isdisjoint(("user_put", "user_removed"))


def _user(user: user_types.User) -> AccessUser:
    return AccessUser(user.id, user.name, user.email, user.provider_id, user.role or "member", frozenset(user.groups))


def _node(node: node_types.Node) -> AccessNode:
    try:
        attributes = hostinfo_attributes(node.hostinfo)
    except ValueError:
        attributes = ()
    return AccessNode(
        id=node.id,
        user_id=0 if node.tags else node.user_id,
        tags=tuple(node.tags),
        ipv4=node.ipv4,
        ipv6=node.ipv6,
        advertised_routes=tuple(node.advertised_routes),
        approved_routes=tuple(node.approved_routes),
        created=node.id,
        attributes=attributes,
    )
