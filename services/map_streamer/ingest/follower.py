"""Feeds the change logs of registry and policy into a tailnet: `records` decodes, `shared.changelog` follows."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio
from smartscale.common.v1 import common_pb2
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc

from services.map_streamer.ingest.records import (
    compiled,
    node_record,
    policy_fact,
    registry_fact,
    relay_record,
    stored_settings,
    user_record,
)
from services.map_streamer.snapshot import (
    Cursor,
    Fact,
    NodeRecord,
    PolicyPut,
    RelayRecord,
    UserRecord,
    replacement,
)
from services.map_streamer.tailnet import Metrics, Tailnet
from services.shared import changelog
from services.shared.bus import Bus
from services.shared.changelog import QUIET
from services.shared.ids import TailnetId
from services.shared.tailnet_settings import TailnetSettings
from services.shared.telemetry import get_logger

log = get_logger(__name__)

CHANGES_DEADLINE = 2.0
SNAPSHOT_DEADLINE = 60.0


class RegistryLog:
    """The registry's log: users, nodes and relays."""

    service = "registry"

    def __init__(self, tailnet_id: TailnetId, tailnet: Tailnet, channel: grpc.aio.Channel, metrics: Metrics) -> None:
        self._id = tailnet_id
        self._tailnet = tailnet
        self._stub = registry_pb2_grpc.RegistryServiceStub(channel)
        self._metrics = metrics

    @property
    def position(self) -> int:
        """Number of the last record that the tailnet has."""
        return self._tailnet.position.registry

    async def changes(self, after: int) -> registry_pb2.GetChangesResponse:
        """Fetch the registry's records after a position."""
        request = registry_pb2.GetChangesRequest(tailnet_id=self._id, after=after)
        return await self._stub.GetChanges(request, timeout=CHANGES_DEADLINE)

    async def apply(self, records: Sequence[common_pb2.LogRecord], traceparent: str) -> None:
        """Queue records to be folded; those of kinds that this program does not know are left out."""
        facts = [fact for record in records if (fact := registry_fact(record.payload)) is not None]
        self._tailnet.add(facts, Cursor(records[-1].seq, self._tailnet.position.policy), traceparent)

    async def start_over(self) -> None:
        """Replace users, nodes and relays by a snapshot."""
        self._metrics.snapshots.labels(self.service).inc()
        seq, facts = await self.snapshot()
        self._tailnet.load(facts, Cursor(seq, self._tailnet.position.policy))

    async def snapshot(self) -> tuple[int, list[Fact]]:
        """Fetch a snapshot; return its position and the facts that lead from what is known to it."""
        request = registry_pb2.GetSnapshotRequest(tailnet_id=self._id)
        seq = 0
        nodes: list[NodeRecord] = []
        users: list[UserRecord] = []
        relays: list[RelayRecord] = []
        settings = TailnetSettings()
        async for part in self._stub.GetSnapshot(request, timeout=SNAPSHOT_DEADLINE):
            seq = part.seq
            nodes += map(node_record, part.nodes)
            users += map(user_record, part.users)
            relays += map(relay_record, part.relays)
            settings = stored_settings(part.settings) if part.settings else settings
        # What waits to be folded is older than the snapshot.
        self._tailnet.flush()
        return seq, replacement(self._tailnet.view.snapshot, nodes, users, relays, settings)


class PolicyLog:
    """The policy service's log: the compiled policy in force."""

    service = "policy"

    def __init__(self, tailnet_id: TailnetId, tailnet: Tailnet, channel: grpc.aio.Channel, metrics: Metrics) -> None:
        self._id = tailnet_id
        self._tailnet = tailnet
        self._stub = policy_pb2_grpc.PolicyServiceStub(channel)
        self._metrics = metrics

    @property
    def position(self) -> int:
        """Number of the last record that the tailnet has."""
        return self._tailnet.position.policy

    async def changes(self, after: int) -> policy_pb2.GetChangesResponse:
        """Fetch the policy service's records after a position."""
        request = policy_pb2.GetChangesRequest(tailnet_id=self._id, after=after)
        return await self._stub.GetChanges(request, timeout=CHANGES_DEADLINE)

    async def apply(self, records: Sequence[common_pb2.LogRecord], traceparent: str) -> None:
        """Queue policies to be folded."""
        facts = [fact for record in records if (fact := policy_fact(record.payload)) is not None]
        self._tailnet.add(facts, Cursor(self._tailnet.position.registry, records[-1].seq), traceparent)

    async def start_over(self) -> None:
        """Replace the policy by the one in force."""
        self._metrics.snapshots.labels(self.service).inc()
        seq, in_force = await self.compiled()
        self._tailnet.load([in_force], Cursor(self._tailnet.position.registry, seq))

    async def compiled(self) -> tuple[int, Fact]:
        """Fetch the policy in force and the position at which it came into force."""
        request = policy_pb2.GetCompiledRequest(tailnet_id=self._id)
        answer = await self._stub.GetCompiled(request, timeout=CHANGES_DEADLINE)
        return answer.seq, PolicyPut(compiled(answer.compiled))


class LogIngest:
    """Follows both logs for one tailnet."""

    def __init__(
        self,
        tailnet_id: TailnetId,
        tailnet: Tailnet,
        bus: Bus,
        registry: grpc.aio.Channel,
        policy: grpc.aio.Channel,
        metrics: Metrics,
        quiet: float = QUIET,
    ) -> None:
        self._tailnet = tailnet
        self._registry = RegistryLog(tailnet_id, tailnet, registry, metrics)
        self._policy = PolicyLog(tailnet_id, tailnet, policy, metrics)
        self._metrics = metrics
        logs = (self._registry, self._policy)
        self._follower = changelog.Follower(
            bus, tailnet_id, logs, self._load, quiet=quiet, on_gap=lambda service: metrics.resyncs.labels(service).inc()
        )
        tailnet.refresh = self.refresh

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._follower.run()

    async def refresh(self) -> None:
        """Fetch the registry's records after our position.

        Raises:
            grpc.aio.AioRpcError: the registry did not answer in time.
        """
        await self._follower.refresh(self._registry.service)

    async def _load(self) -> None:
        """Load the first snapshot of both logs at once, so that no client is sent a map before the policy is known."""
        registry, facts = await self._registry.snapshot()
        policy, in_force = await self._policy.compiled()
        self._tailnet.load([*facts, in_force], Cursor(registry, policy))
        self._metrics.snapshots.labels(self._registry.service).inc()
        self._metrics.snapshots.labels(self._policy.service).inc()
        log.info("snapshot taken", registry=registry, policy=policy, nodes=len(self._tailnet.view.snapshot.nodes))
