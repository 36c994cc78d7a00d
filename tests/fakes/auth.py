"""The whole auth service in one loop, beside fake neighbours, and clients that speak to it as the gateway does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.auth.v1 import auth_pb2_grpc
from smartscale.policy.v1 import policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2_grpc

from services.auth.wiring import AuthService, build
from services.shared.bus import MemoryBus
from services.shared.config.model import Config, DatabaseConfig, NodeConfig, SqliteConfig, TuningConfig
from services.shared.keys import MachineKey, NodeKey
from services.shared.rpc import LocalChannel, LocalServer, with_machine_key
from services.shared.runtime.process import Deps
from services.shared.runtime.reload import Reloader
from services.shared.telemetry import Telemetry
from tests.fakes.clock import FakeClock
from tests.fakes.neighbours import FakePolicy, FakeRegistry

WAIT = 10.0


@dataclass(slots=True)
class Client:
    """A device as the gateway forwards it."""

    stub: Any
    numbers: Iterator[int]
    machine: MachineKey
    node: NodeKey
    old: NodeKey
    address: str = "192.0.2.7"
    hostinfo: dict[str, object] = field(default_factory=dict)

    def regenerate(self) -> None:
        """Make a new node key, as clients do."""
        self.old, self.node = self.node, NodeKey(next(self.numbers).to_bytes(32, "big"))

    def request(self, **fields: Any) -> pb.RegisterRequest:
        """What it would send."""
        expiry: datetime | None = fields.pop("expiry", None)
        values = {
            "version": 113,
            "node_key": self.node.raw,
            "old_node_key": b"" if self.old.is_zero else self.old.raw,
            "hostinfo": orjson.dumps({"Hostname": "laptop", "OS": "linux", **self.hostinfo}),
            "remote_address": self.address,
            **fields,
        }
        request = pb.RegisterRequest(**values)
        if expiry is not None:
            request.expiry.FromDatetime(expiry)
        return request

    async def register(self, **fields: Any) -> pb.RegisterResponse:
        """Register without a Followup."""
        return await self.stub.Register(self.request(**fields), metadata=with_machine_key(self.machine), timeout=WAIT)

    async def follow(self, url: str, **fields: Any) -> pb.RegisterResponse:
        """Wait for a login."""
        request = pb.AwaitLoginRequest(registration=self.request(**fields), followup=url)
        answer = await self.stub.AwaitLogin(request, metadata=with_machine_key(self.machine), timeout=WAIT)
        return answer.response

    def follow_soon(self, url: str, **fields: Any) -> asyncio.Task[pb.RegisterResponse]:
        """Wait for a login in the background."""
        return asyncio.create_task(self.follow(url, **fields))


class AuthTailnet:
    """Auth instances over one database and bus, a registry and a policy."""

    def __init__(self, config: Config, telemetry: Telemetry | None = None) -> None:
        self.config = config
        self.telemetry = telemetry
        self.clock = FakeClock()
        self.bus = MemoryBus()
        self.registry = FakeRegistry(self.clock)
        self.policy = FakePolicy()
        self.server = LocalServer()
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(self.registry, self.server)
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(self.policy, self.server)
        self.reloader: Reloader | None = None
        self.services: list[AuthService] = []
        self.stubs: list[Any] = []
        self._numbers = count(1)

    async def start_instance(self) -> Any:
        """Start one more instance; gives its stub."""
        channel = LocalChannel(self.server)
        channels = {"registry": channel, "policy": channel}
        deps = Deps(self.clock, self.bus, channels, self.telemetry or Telemetry(), reloader=self.reloader)
        service = await build(self.config, deps)
        await service.start()
        server = LocalServer()
        service.add_to(server)
        self.services.append(service)
        self.stubs.append(auth_pb2_grpc.AuthServiceStub(LocalChannel(server)))
        return self.stubs[-1]

    @property
    def stub(self) -> Any:
        """The first instance."""
        return self.stubs[0]

    def client(self, stub: Any = None, address: str = "192.0.2.7", **hostinfo: object) -> Client:
        """A new device."""
        machine, node = (next(self._numbers).to_bytes(32, "big") for _ in range(2))
        return Client(
            stub or self.stub, self._numbers, MachineKey(machine), NodeKey(node), NodeKey.zero(), address, hostinfo
        )

    async def key(self, user: int = 0, **fields: Any) -> str:
        """A new pre-auth key."""
        answer = await self.stub.CreatePreAuthKey(pb.CreatePreAuthKeyRequest(user_id=user, **fields))
        return str(answer.pre_auth_key.key)

    async def approve(self, auth_id: str, user: int, stub: Any = None) -> pb.ApproveLoginResponse:
        """An administrator says yes."""
        return await (stub or self.stub).ApproveLogin(pb.ApproveLoginRequest(auth_id=auth_id, user_id=user))

    async def watched(self, number: int = 1, instance: int = 0) -> None:
        """Wait until so many requests are parked."""
        async with asyncio.timeout(WAIT):
            while self.services[instance].parked < number:  # noqa: ASYNC110  there is nothing to wait on
                await asyncio.sleep(0)


def config_for(folder: Path, **tuning: Any) -> Config:
    """The configuration of an embedded installation in a folder."""
    return Config(
        server_url="https://control.example.com/",
        database=DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=folder / "db.sqlite")),
        tuning=replace(TuningConfig(), **tuning),
        node=NodeConfig(expiry=timedelta(days=180)),
    )


@asynccontextmanager
async def auth_tailnet(
    config: Config, instances: int = 1, telemetry: Telemetry | None = None
) -> AsyncIterator[AuthTailnet]:
    """Run it."""
    tailnet = AuthTailnet(config, telemetry)
    try:
        for _ in range(instances):
            await tailnet.start_instance()
        yield tailnet
    finally:
        for service in tailnet.services:
            await service.stop()
        await tailnet.bus.close()
