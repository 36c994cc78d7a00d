"""Follows the two change logs. The bus only wakes and carries: every record's number is checked, gaps are fetched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import grpc.aio
from google.protobuf.message import DecodeError
from smartscale.common.v1 import common_pb2
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc

from services.map_streamer.ingest.records import (
    compiled,
    node_record,
    policy_fact,
    registry_fact,
    relay_record,
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
from services.shared.bus import Bus, Message, Reconnected
from services.shared.ids import TailnetId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

CHANGES_DEADLINE = 2.0
SNAPSHOT_DEADLINE = 60.0
QUIET = 5.0
"""Seconds without news of a log after which it is asked: a message that the bus lost may have been the last one.

Each log for itself: the registry's may never be quiet, and a policy must not wait for that."""
_LONGEST_BACKOFF = 5.0

_FACT: dict[str, Callable[[bytes], Fact | None]] = {"registry": registry_fact, "policy": policy_fact}


class Follower:
    """Keeps one tailnet at the end of both logs."""

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
        self._id = tailnet_id
        self._tailnet = tailnet
        self._bus = bus
        self._registry = registry_pb2_grpc.RegistryServiceStub(registry)
        self._policy = policy_pb2_grpc.PolicyServiceStub(policy)
        self._metrics = metrics
        self._quiet = quiet
        self._topics = {f"smartscale.{tailnet_id}.{service}.changes": service for service in _FACT}
        self._lock = asyncio.Lock()
        self._started = 0
        tailnet.refresh = self.refresh

    async def run(self) -> None:
        """Follow for ever: subscribe first, then take the snapshot, then fold what comes."""
        backoff = 0.1
        while True:
            try:
                async with self._bus.subscribe(*self._topics) as messages:
                    await self._load()
                    backoff = 0.1
                    await self._follow(messages)
            except asyncio.CancelledError:
                raise
            except grpc.aio.AioRpcError as error:
                log.warning("change log not reachable, trying again", status=error.code().name)
            except Exception:
                log.exception("following the change logs failed, starting over")
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _LONGEST_BACKOFF)

    async def refresh(self) -> None:
        """Fetch what the registry has beyond our position. Callers that come together share one fetch begun after them.

        Raises:
            grpc.aio.AioRpcError: the registry could not be asked in time.
        """
        arrived = self._started
        async with self._lock:
            if self._started > arrived:
                return
            self._started += 1
            await self._fetch("registry")

    async def _load(self) -> None:
        async with self._lock:
            registry, facts = await self._snapshot()
            policy, in_force = await self._compiled()
        self._tailnet.load([*facts, in_force], Cursor(registry, policy))
        self._metrics.snapshots.labels("registry").inc()
        self._metrics.snapshots.labels("policy").inc()
        log.info("snapshot taken", registry=registry, policy=policy, nodes=len(self._tailnet.view.snapshot.nodes))

    async def _snapshot(self) -> tuple[int, list[Fact]]:
        request = registry_pb2.GetSnapshotRequest(tailnet_id=self._id)
        seq = 0
        nodes: list[NodeRecord] = []
        users: list[UserRecord] = []
        relays: list[RelayRecord] = []
        async for part in self._registry.GetSnapshot(request, timeout=SNAPSHOT_DEADLINE):
            seq = part.seq
            nodes += map(node_record, part.nodes)
            users += map(user_record, part.users)
            relays += map(relay_record, part.relays)
        # What waits to be folded is older than the snapshot.
        self._tailnet.flush()
        return seq, replacement(self._tailnet.view.snapshot, nodes, users, relays)

    async def _compiled(self) -> tuple[int, Fact]:
        request = policy_pb2.GetCompiledRequest(tailnet_id=self._id)
        answer = await self._policy.GetCompiled(request, timeout=CHANGES_DEADLINE)
        return answer.seq, PolicyPut(compiled(answer.compiled))

    async def _follow(self, messages: AsyncIterator[Message | Reconnected]) -> None:
        now = asyncio.get_running_loop().time
        heard = dict.fromkeys(self._topics, now())
        try:
            while True:
                message: Message | Reconnected | None = None
                if (longest := min(heard.values()) + self._quiet - now()) > 0:
                    # A reader of the bus loses nothing when it is cancelled: it waits, and only then takes.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(longest):
                            message = await anext(messages)
                if message is None:
                    quiet = [topic for topic, at in heard.items() if now() - at >= self._quiet]
                    await self._catch_up(*(self._topics[topic] for topic in quiet))
                    heard.update(dict.fromkeys(quiet, now()))
                elif isinstance(message, Reconnected):
                    log.info("bus came back, asking the change logs")
                    await self._catch_up(*_FACT)
                else:
                    heard[message.topic] = now()
                    await self._take(message)
        except StopAsyncIteration:
            log.info("bus subscription ended")

    async def _catch_up(self, *services: str) -> None:
        async with self._lock:
            self._started += "registry" in services
            for service in services:
                await self._fetch(service)

    async def _take(self, message: Message) -> None:
        service = self._topics.get(message.topic)
        if service is None:
            return
        try:
            batch = common_pb2.ChangeBatch.FromString(message.payload)
        except DecodeError:
            log.warning("bus message cannot be read", topic=message.topic)
            return
        if batch.records and batch.records[0].seq > self._position(service) + 1:
            self._metrics.resyncs.labels(service).inc()
            async with self._lock:
                await self._fetch(service)
        self._apply(service, batch.records, message.traceparent)

    def _position(self, service: str) -> int:
        position = self._tailnet.position
        return position.registry if service == "registry" else position.policy

    def _moved(self, service: str, seq: int) -> Cursor:
        position = self._tailnet.position
        return Cursor(seq, position.policy) if service == "registry" else Cursor(position.registry, seq)

    def _apply(self, service: str, records: object, traceparent: str = "") -> bool:
        """Take the records that continue our position; duplicates are passed over. False: there is a gap."""
        facts: list[Fact] = []
        position = self._position(service)
        whole = True
        for record in records:  # type: ignore[attr-defined]
            if record.seq <= position:
                continue
            if record.seq > position + 1:
                whole = False
                break
            position = record.seq
            fact = _FACT[service](record.payload)
            if fact is not None:
                facts.append(fact)
        if position != self._position(service):
            self._tailnet.add(facts, self._moved(service, position), traceparent)
        return whole

    async def _fetch(self, service: str) -> None:
        while True:
            after = self._position(service)
            answer = await self._changes(service, after)
            if answer.reset:
                await self._start_over(service)
                return
            self._apply(service, answer.records)
            if not answer.records or self._position(service) >= answer.last:
                return
            if self._position(service) == after:
                log.error("change log answers with a gap, starting over", service=service, after=after)
                await self._start_over(service)
                return

    async def _changes(
        self, service: str, after: int
    ) -> registry_pb2.GetChangesResponse | policy_pb2.GetChangesResponse:
        if service == "registry":
            request = registry_pb2.GetChangesRequest(tailnet_id=self._id, after=after)
            answer: registry_pb2.GetChangesResponse = await self._registry.GetChanges(request, timeout=CHANGES_DEADLINE)
            return answer
        asked = policy_pb2.GetChangesRequest(tailnet_id=self._id, after=after)
        said: policy_pb2.GetChangesResponse = await self._policy.GetChanges(asked, timeout=CHANGES_DEADLINE)
        return said

    async def _start_over(self, service: str) -> None:
        log.info("change log does not reach back, taking a snapshot", service=service)
        self._metrics.snapshots.labels(service).inc()
        if service == "registry":
            seq, facts = await self._snapshot()
            self._tailnet.load(facts, Cursor(seq, self._tailnet.position.policy))
        else:
            seq, in_force = await self._compiled()
            self._tailnet.load([in_force], Cursor(self._tailnet.position.registry, seq))
