"""Clients of the registry: subjects to check policies against; news of users, to try a refused policy again.

The service starts without the registry; a check of a policy fails if it does not respond within `TIMEOUT` seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import grpc.aio
from google.protobuf.message import DecodeError
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types

from services.policy.model.checks.topology import Topology
from services.shared.access.inputs import AccessNode, AccessUser
from services.shared.bus import Bus
from services.shared.changelog import Batch, batches, topic
from services.shared.ids import TailnetId
from services.shared.inventory import access_node, access_user, instant, is_expired
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

TIMEOUT = 60.0
"""Deadline of the whole stream in seconds; 100,000 nodes take about 5 s of CPU time."""


class RegistrySubjects:
    """Client of the registry for users and nodes of the tailnet."""

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._clock = clock
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)

    async def read(self) -> Topology | None:
        """Return every user and node of the tailnet; None when the registry does not answer in time."""
        now = self._clock.now()
        users: list[AccessUser] = []
        nodes: dict[str, AccessNode] = {}
        suspended: dict[str, AccessNode] = {}
        try:
            async for part in self._stub.ListSubjects(registry_pb2.ListSubjectsRequest(), timeout=TIMEOUT):
                users += map(access_user, part.users)
                for subject in part.subjects:
                    name = subject.given_name or str(subject.id)
                    (suspended if subject.suspended else nodes)[name] = _node(subject, now)
        except grpc.aio.AioRpcError as error:
            log.warning("registry unavailable for policy check", status=error.code().name)
            return None
        return Topology(tuple(users), nodes, suspended)


class UserFollower:
    """Follower that calls back when users may have changed, since a refused document may then be acceptable."""

    def __init__(self, bus: Bus, tailnet: TailnetId, changed: Callable[[], Awaitable[object]]) -> None:
        self._bus = bus
        self._tailnet = tailnet
        self._changed = changed

    async def run(self) -> None:
        """Follow until cancelled."""
        async with self._bus.subscribe(topic(self._tailnet, "registry")) as messages:
            async for batch in batches(messages):
                if not batch.lossy and not _has_users(batch):
                    continue
                try:
                    await self._changed()
                except Exception:
                    log.exception("policy recheck failed")


def _has_users(batch: Batch) -> bool:
    try:
        kinds = {registry_pb2.Change.FromString(record.payload).WhichOneof("fact") for record in batch.records}
    except DecodeError:
        return False
    return not kinds.isdisjoint(("user_put", "user_removed"))


def _node(subject: node_types.Subject, now: datetime) -> AccessNode:
    expiry = instant(subject.expiry) if subject.HasField("expiry") else None
    attributes = tuple(sorted(subject.attributes.items()))
    return access_node(subject, subject.created_at, attributes, expired=is_expired(subject.expired, expiry, now))
