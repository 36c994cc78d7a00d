"""A whole control plane in one loop, as `headscale serve` runs it: every service real, SQLite, the bus in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
from headscale.v1 import auth_pb2, headscale_pb2_grpc, node_pb2, preauthkey_pb2, user_pb2
from smartscale.gateway.v1 import gateway_pb2_grpc

import gateway.wiring
import services.auth.wiring
import services.map_streamer.wiring
import services.policy.wiring
import services.registry.wiring
from services.shared.config.model import (
    Config,
    DatabaseConfig,
    DerpConfig,
    DnsConfig,
    GatewayConfig,
    NoiseConfig,
    PolicyConfig,
    PrefixesConfig,
    SqliteConfig,
)
from services.shared.runtime.process import Build, embedded
from services.shared.telemetry import Telemetry
from tests.fakes.device import Device

BUILDS: dict[str, Build] = {
    "policy": services.policy.wiring.build,
    "registry": services.registry.wiring.build,
    "auth": services.auth.wiring.build,
    "map_streamer": services.map_streamer.wiring.build,
    "gateway": gateway.wiring.build,
}


def relay_file(folder: Path) -> Path:
    """Write a DERP map with one region that no test reaches: without any region clients are sent no map of relays."""
    path = folder / "derp.yaml"
    node = "{name: n, regionid: 998, hostname: relay.example.net}"
    path.write_text(f"regions: {{998: {{regionid: 998, regioncode: away, regionname: Away, nodes: [{node}]}}}}\n")
    return path


def config_in(folder: Path, **gateway_limits: Any) -> Config:
    """The configuration of the embedded default, with all its state in a folder and free ports."""
    return Config(
        server_url="http://hs.example.net",
        listen_addr="127.0.0.1:0",
        grpc_listen_addr="",
        metrics_listen_addr="",
        unix_socket=folder / "admin.sock",
        state_dir=folder,
        noise=NoiseConfig(private_key_path=folder / "noise_private.key"),
        prefixes=PrefixesConfig(v4="100.64.0.0/10", v6="fd7a:115c:a1e0::/48"),
        database=DatabaseConfig(sqlite=SqliteConfig(path=folder / "db.sqlite")),
        dns=DnsConfig(base_domain="tail.example.net"),
        derp=DerpConfig(paths=(relay_file(folder),)),
        policy=PolicyConfig(mode="database"),
        gateway=GatewayConfig(**gateway_limits),
    )


class Tailnet:
    """A running control plane and its administrator."""

    def __init__(self, url: str, channel: grpc.aio.Channel, gateway_service: Any, telemetry: Telemetry) -> None:
        self.url = url
        self.gateway = gateway_service
        self.telemetry = telemetry
        self.admin: Any = headscale_pb2_grpc.HeadscaleServiceStub(channel)  # type: ignore[no-untyped-call]
        self.debug: Any = gateway_pb2_grpc.DebugServiceStub(channel)  # type: ignore[no-untyped-call]
        self.devices: list[Device] = []

    def device(self, hostname: str, *, zstd: bool = True) -> Device:
        """A new device that is nobody yet."""
        made = Device(self.url, hostname, zstd=zstd)
        self.devices.append(made)
        return made

    async def user(self, name: str) -> int:
        """Create a user; its id."""
        return int((await self.admin.CreateUser(user_pb2.CreateUserRequest(name=name))).user.id)

    async def auth_key(self, user: int, *, reusable: bool = True, ephemeral: bool = False) -> str:
        """Make a pre-auth key."""
        request = preauthkey_pb2.CreatePreAuthKeyRequest(user=user, reusable=reusable, ephemeral=ephemeral)
        return str((await self.admin.CreatePreAuthKey(request)).pre_auth_key.key)

    async def nodes(self) -> list[node_pb2.Node]:
        """All nodes."""
        return list((await self.admin.ListNodes(node_pb2.ListNodesRequest())).nodes)

    async def delete(self, node_id: int) -> None:
        """Delete a node."""
        await self.admin.DeleteNode(node_pb2.DeleteNodeRequest(node_id=node_id))

    async def approve(self, auth_id: str, user: str) -> None:
        """Approve a pending login."""
        await self.admin.AuthRegister(auth_pb2.AuthRegisterRequest(auth_id=auth_id, user=user))


@asynccontextmanager
async def tailnet_in(
    folder: Path, config: Config | None = None, telemetry: Telemetry | None = None
) -> AsyncIterator[Tailnet]:
    """Start everything on the state in a folder."""
    used, telemetry = config or config_in(folder), telemetry or Telemetry()
    async with embedded(used, BUILDS, telemetry) as running:
        service: Any = running["gateway"]
        async with grpc.aio.insecure_channel(f"unix:{used.unix_socket}") as channel:
            tailnet = Tailnet(f"http://127.0.0.1:{service.port}", channel, service, telemetry)
            try:
                yield tailnet
            finally:
                for device in tailnet.devices:
                    await device.close()
