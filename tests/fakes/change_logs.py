"""Registry and policy reduced to their change logs: what a follower of them sees, with losses on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from smartscale.common.v1 import common_pb2
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import relay_pb2 as relay_types
from smartscale.types.v1 import user_pb2 as user_types

from services.shared.access.compiled import ALLOW_ALL, CompiledPolicy
from services.shared.bus import Bus

TAILNET = "default"


class _Log:
    """A numbered log that publishes after it stored; `lose` makes the bus forget, `trim` makes the log forget."""

    def __init__(self, bus: Bus, service: str) -> None:
        self._bus = bus
        self._service = service
        self.records: list[common_pb2.LogRecord] = []
        self.trimmed = 0
        self.lose = False
        self.calls = 0

    @property
    def last(self) -> int:
        return self.records[-1].seq if self.records else self.trimmed

    async def append(self, *changes: Any) -> None:
        """Store changes as one batch and publish it."""
        batch = common_pb2.ChangeBatch(tailnet_id=TAILNET, service=self._service)
        for change in changes:
            change.seq = self.last + 1
            record = common_pb2.LogRecord(seq=change.seq, payload=change.SerializeToString())
            self.records.append(record)
            batch.records.append(record)
        await self.publish(batch)

    async def publish(self, batch: common_pb2.ChangeBatch) -> None:
        """Send a batch to whoever listens, unless it is to be lost."""
        if not self.lose:
            await self._bus.publish(f"smartscale.{TAILNET}.{self._service}.changes", batch.SerializeToString())

    def trim(self) -> None:
        """Forget all records."""
        self.trimmed = self.last
        self.records.clear()

    def after(self, seq: int) -> tuple[list[common_pb2.LogRecord], bool]:
        """The records after a position, and whether that cannot be said."""
        self.calls += 1
        if seq < self.trimmed or seq > self.last:
            return [], True
        return [record for record in self.records if record.seq > seq][:1000], False


class FakeRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """Holds users, nodes and relays and logs each change."""

    def __init__(self, bus: Bus) -> None:
        self.log = _Log(bus, "registry")
        self.nodes: dict[int, node_types.Node] = {}
        self.users: dict[int, user_types.User] = {}
        self.relays: dict[str, relay_types.Relay] = {}

    async def put_node(self, *nodes: node_types.Node) -> None:
        """Nodes are now so."""
        for node in nodes:
            self.nodes[node.id] = node
        await self.log.append(*(registry_pb2.Change(node_put=node) for node in nodes))

    async def remove_node(self, node_id: int) -> None:
        """A node is gone."""
        del self.nodes[node_id]
        await self.log.append(registry_pb2.Change(node_removed=node_id))

    async def put_user(self, user: user_types.User) -> None:
        """A user is now so."""
        self.users[user.id] = user
        await self.log.append(registry_pb2.Change(user_put=user))

    async def put_relay(self, relay: relay_types.Relay) -> None:
        """A relay is now so."""
        self.relays[relay.name] = relay
        await self.log.append(registry_pb2.Change(relay_put=relay))

    async def GetSnapshot(self, request: Any, context: Any) -> AsyncIterator[registry_pb2.GetSnapshotResponse]:
        """Everything, in two messages."""
        seq = self.log.last
        yield registry_pb2.GetSnapshotResponse(
            seq=seq, users=list(self.users.values()), relays=list(self.relays.values())
        )
        yield registry_pb2.GetSnapshotResponse(seq=seq, nodes=list(self.nodes.values()))

    async def GetChanges(self, request: Any, context: Any) -> registry_pb2.GetChangesResponse:
        """The records after a position."""
        records, reset = self.log.after(request.after)
        return registry_pb2.GetChangesResponse(records=records, reset=reset, last=self.log.last)


class FakePolicy(policy_pb2_grpc.PolicyServiceServicer):
    """Holds one compiled policy and logs each change of it."""

    def __init__(self, bus: Bus) -> None:
        self.log = _Log(bus, "policy")
        self.compiled = ALLOW_ALL

    async def put(self, compiled: CompiledPolicy) -> None:
        """Another policy is in force."""
        self.compiled = compiled
        await self.log.append(policy_pb2.Change(compiled=compiled.to_bytes(), version=self.log.last + 1))

    async def GetCompiled(self, request: Any, context: Any) -> policy_pb2.GetCompiledResponse:
        """The policy in force."""
        return policy_pb2.GetCompiledResponse(seq=self.log.last, compiled=self.compiled.to_bytes())

    async def GetChanges(self, request: Any, context: Any) -> policy_pb2.GetChangesResponse:
        """The records after a position."""
        records, reset = self.log.after(request.after)
        return policy_pb2.GetChangesResponse(records=records, reset=reset, last=self.log.last)


def make_user(user_id: int, **fields: Any) -> user_types.User:
    """A user with a name made of its id."""
    given = {"name": f"user{user_id}", "email": f"user{user_id}@example.com", "role": "member", **fields}
    return user_types.User(id=user_id, tailnet_id=TAILNET, **given)


def make_node(node_id: int, user_id: int = 1, **fields: Any) -> node_types.Node:
    """A node with keys, name and addresses made of its id."""
    given: dict[str, Any] = {
        "stable_id": f"n{node_id}CNTRL",
        "machine_key": key(1, node_id),
        "node_key": key(2, node_id),
        "disco_key": key(3, node_id),
        "hostname": f"host{node_id}",
        "given_name": f"host{node_id}",
        "ipv4": f"100.64.{node_id >> 8}.{node_id & 255}",
        "ipv6": f"fd7a:115c:a1e0::{node_id:x}",
        "hostinfo": b'{"OS":"linux","Hostname":"host%d"}' % node_id,
        "endpoints": [f"192.168.{node_id >> 8}.{node_id & 255}:41641"],
        "endpoint_types": [1],
        "home_derp": 900,
        "cap_version": 113,
        "online": True,
        **fields,
    }
    node = node_types.Node(id=node_id, tailnet_id=TAILNET, user_id=user_id, **given)
    node.created_at.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    return node


def changed(node: node_types.Node, **fields: Any) -> node_types.Node:
    """A copy of a node with other values."""
    copy = node_types.Node()
    copy.CopyFrom(node)
    for name, value in fields.items():
        if isinstance(value, list):
            del getattr(copy, name)[:]
            getattr(copy, name).extend(value)
        elif isinstance(value, datetime):
            getattr(copy, name).FromDatetime(value)
        else:
            setattr(copy, name, value)
    return copy


def key(kind: int, number: int) -> bytes:
    """32 bytes that differ by kind and number."""
    return bytes([kind]) + number.to_bytes(31, "big")
