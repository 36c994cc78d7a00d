"""A whole registry in this process: the real service on SQLite, reached through the in-process channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc.aio
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.registry.v1 import registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.registry.usecases.settings import RegistrySettings
from services.registry.wiring import RegistryService, build
from services.shared.bus import Bus, MemoryBus
from services.shared.config.model import Config, DatabaseConfig, PrefixesConfig, SqliteConfig
from services.shared.ids import DEFAULT_TAILNET
from services.shared.keys import MachineKey, NodeKey
from services.shared.rpc import LocalChannel, LocalServer, with_machine_key
from services.shared.runtime.clock import Clock, SystemClock
from services.shared.runtime.process import Deps
from services.shared.telemetry import Telemetry

V4 = "100.64.0.0/10"
V6 = "fd7a:115c:a1e0::/48"
ISSUER = "https://idp.example/api/oidc/app-1"
TOPIC = f"smartscale.{DEFAULT_TAILNET}.registry.changes"


def registry_config(tmp_path: Path) -> Config:
    """A configuration with a database in this folder and the usual prefixes."""
    return Config(
        database=DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=tmp_path / "db.sqlite")),
        prefixes=PrefixesConfig(v4=V4, v6=V6),
    )


async def start_registry(
    tmp_path: Path,
    *,
    config: Config | None = None,
    clock: Clock | None = None,
    bus: Bus | None = None,
    settings: RegistrySettings | None = None,
    channels: dict[str, LocalChannel] | None = None,
    telemetry: Telemetry | None = None,
) -> tuple[RegistryService, LocalChannel, Bus]:
    """Start a registry; the caller stops the service. A second one on the same folder is a second replica."""
    bus = bus or MemoryBus()
    deps = Deps(
        clock=clock or SystemClock(), bus=bus, channels=dict(channels or {}), telemetry=telemetry or Telemetry()
    )
    service = await build(config or registry_config(tmp_path), deps, settings)
    server = LocalServer()
    service.add_to(server)
    await service.start()
    return service, LocalChannel(server), bus


class RegistryClient:
    """Speaks to a registry as the other services do; a few words for what tests do all the time."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub = registry_pb2_grpc.RegistryServiceStub(channel)

    async def user(self, name: str) -> user_types.User:
        """Create a user."""
        response: pb.CreateUserResponse = await self.stub.CreateUser(pb.CreateUserRequest(name=name), timeout=10)
        return response.user

    async def admit(
        self,
        machine: MachineKey,
        node_key: NodeKey,
        *,
        user_id: int = 0,
        tags: Sequence[str] = (),
        hostname: str = "host",
        expiry: datetime | None = None,
        ephemeral: bool = False,
        old: NodeKey | None = None,
        ipv4: str = "",
        ipv6: str = "",
    ) -> node_types.Node:
        """Let a node in."""
        request = pb.AdmitNodeRequest(
            node_key=node_key.raw,
            old_node_key=old.raw if old else b"",
            user_id=user_id,
            tags=tags,
            ephemeral=ephemeral,
            hostinfo=b'{"Hostname":"%s"}' % hostname.encode(),
            cap_version=113,
            register_method="REGISTER_METHOD_CLI",
            ipv4=ipv4,
            ipv6=ipv6,
        )
        if expiry is not None:
            request.expiry.FromDatetime(expiry)
        response: pb.AdmitNodeResponse = await self.stub.AdmitNode(
            request, metadata=with_machine_key(machine), timeout=10
        )
        return response.node

    async def node(self, node_id: int) -> node_types.Node:
        """Fetch a node."""
        response: pb.GetNodeResponse = await self.stub.GetNode(pb.GetNodeRequest(id=node_id), timeout=10)
        return response.node

    async def nodes(self) -> list[node_types.Node]:
        """List all nodes."""
        return [node async for part in self.stub.ListNodes(pb.ListNodesRequest(), timeout=10) for node in part.nodes]

    async def update(self, machine: MachineKey, request: pb.UpdateNodeRequest) -> bool:
        """Report a node's state; returns whether it was recorded."""
        response: pb.UpdateNodeResponse = await self.stub.UpdateNode(
            request, metadata=with_machine_key(machine), timeout=10
        )
        return response.changed

    async def sessions(self, gateway_id: str, **fields: object) -> bool:
        """Report sessions (lists of (session id, node id)); returns whether everything is wanted again."""
        request = pb.ReportSessionsRequest(gateway_id=gateway_id)
        for name in ("opened", "closed"):
            for session_id, node_id in fields.get(name, ()):  # type: ignore[attr-defined]
                getattr(request, name).add(session_id=session_id, node_id=node_id)
        request.lost.extend(fields.get("lost", ()))  # type: ignore[call-overload]
        request.complete = bool(fields.get("complete"))
        request.stopping = bool(fields.get("stopping"))
        response: pb.ReportSessionsResponse = await self.stub.ReportSessions(request, timeout=10)
        return response.resend

    async def changes(self, after: int = 0) -> list[pb.Change]:
        """The change log after a position."""
        response: pb.GetChangesResponse = await self.stub.GetChanges(pb.GetChangesRequest(after=after), timeout=10)
        return [pb.Change.FromString(record.payload) for record in response.records]


def machine(number: int) -> MachineKey:
    """A machine key that a test can recognise."""
    return MachineKey(number.to_bytes(4, "big") * 8)


def node_key(number: int) -> NodeKey:
    """A node key that a test can recognise."""
    return NodeKey((number + 0x10000000).to_bytes(4, "big") * 8)


def with_prefixes(config: Config, v4: str, v6: str, allocation: str = "sequential") -> Config:
    """The configuration with other prefixes."""
    return replace(config, prefixes=PrefixesConfig(v4=v4, v6=v6, allocation=allocation))  # type: ignore[arg-type]


async def sign_in(registry: RegistryClient, subject: str, **fields: Any) -> pb.UpsertLoginResponse:
    """What a sign-in tells the registry; a new identity becomes a user."""
    request = pb.UpsertLoginRequest(**{"issuer": ISSUER, "subject": subject, "create": True, **fields})
    return await registry.stub.UpsertLogin(request, timeout=10)
