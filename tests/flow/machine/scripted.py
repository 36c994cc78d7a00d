"""The machine side of a gateway between a scripted client and scripted services."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from smartscale.auth.v1 import auth_pb2
from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as streamer_pb2
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from gateway.clients.auth import AuthClient
from gateway.clients.map_streamer import MapStreamerClient
from gateway.clients.registry import RegistryClient
from gateway.clients.ssh import SshClient
from gateway.machine.attachment import Attachment
from gateway.machine.c2n import NodeQueries
from gateway.machine.in_flight import InFlight
from gateway.machine.map import Map
from gateway.machine.map_sessions import MapSessions
from gateway.machine.metrics import MachineMetrics
from gateway.machine.pace import Pace
from gateway.machine.presence import Presence
from gateway.machine.register import Register
from gateway.machine.reports import LastReports
from gateway.machine.router import Router
from gateway.machine.ssh import Ssh
from services.shared.keys import DiscoKey, MachineKey, NodeKey
from services.shared.rpc import LocalChannel
from services.shared.runtime.clock import SystemClock
from tests.fakes.services import DEADLINE, ScriptedAuth, ScriptedRegistry, ScriptedStreamer, serve
from tests.fakes.tunnel import FakeResponder, FakeWriter, tunnel_request

MACHINE = MachineKey(b"\1" * 32)
NODE = NodeKey(b"\2" * 32)
CURSOR = common_pb2.Cursor(registry=5, policy=1)


class Gateway:
    """All of gateway.machine between fakes."""

    def __init__(self, login_wait: float = 5.0) -> None:
        self.auth, self.registry, self.streamer = ScriptedAuth(), ScriptedRegistry(), ScriptedStreamer()
        self.channel = LocalChannel(serve(self.auth, self.registry, self.streamer))
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        tracer = provider.get_tracer("test")
        metrics, reports, self.work = MachineMetrics(CollectorRegistry()), LastReports(), InFlight()
        self.registry_client = RegistryClient(self.channel, "gw")
        self.presence = Presence(self.registry_client.report_sessions, window=0.001)
        self.sessions = MapSessions(
            SystemClock(),
            asyncio.get_running_loop().call_later,
            self.presence,
            metrics,
            on_removed=lambda ask: reports.forget(ask.machine_key, ask.node_key),
        )
        self.attachment = Attachment("gw", [MapStreamerClient(self.channel, "fake")], self.sessions, metrics)
        self.questions = NodeQueries(self.sessions)
        register = Register(AuthClient(self.channel), reports, self.work, metrics, tracer, login_wait)
        map_ = Map(self.registry_client, self.sessions, reports, self.work, metrics, tracer)
        self.held = InFlight()
        self.ssh = Ssh(
            SshClient(self.channel, self.channel),
            self.held,
            Pace(0, 0, metrics),
            tracer,
            "https://hs.example.net",
            login_wait,
        )
        self.router = Router(register, map_, self.ssh, self.questions)

    def send(self, path: str, body: Any, *, machine: MachineKey = MACHINE, **extra: Any) -> FakeResponder:
        """A request as the edge hands it over; what is not bytes becomes JSON."""
        responder = FakeResponder()
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        self.router.handle(tunnel_request(path, raw, machine, **extra), responder)
        return responder

    async def ask(self, path: str, body: Any, **extra: Any) -> FakeResponder:
        """The same, answered."""
        responder = self.send(path, body, **extra)
        await until(lambda: responder.status is not None)
        return responder

    async def register(self, **fields: Any) -> FakeResponder:
        """A register request."""
        return await self.ask("/machine/register", {"Version": 113, "NodeKey": str(NODE), **fields})

    async def stream(
        self, *, zstd: bool = False, node_id: int = 7, after: int = 0, **fields: Any
    ) -> tuple[FakeWriter, int]:
        """An open map session with its full map, and its number."""
        body = {"Version": 113, "NodeKey": str(NODE), "Stream": True, "Compress": "zstd" if zstd else "", **fields}
        responder = self.send("/machine/map", body)
        opened = await self.streamer.opened(after)
        self.streamer.accept(opened.session_id, node_id)
        full = streamer_pb2.Full(
            session_id=opened.session_id, parts=[streamer_pb2.Part(data=b'{"Node":{}}')], cursor=CURSOR
        )
        self.streamer.say(full=full)
        await until(lambda: responder.writer is not None and responder.writer.messages)
        assert responder.writer is not None
        return responder.writer, opened.session_id


async def until(condition: Any) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  the conditions are of parts that know no events
            await asyncio.sleep(0.001)


def admitted(**user: Any) -> auth_pb2.RegisterResponse:
    """A node was let in."""
    node = node_types.Node(id=7)
    owner = user_types.User(id=3, name="ann", **user)
    return auth_pb2.RegisterResponse(admitted=auth_pb2.Admitted(node=node, user=owner))


def report(**fields: Any) -> dict[str, Any]:
    """A lite map request as tailscale-rs spells it."""
    return {
        "Version": 113,
        "NodeKey": str(NODE),
        "DiscoKey": str(DiscoKey(b"\3" * 32)),
        "OmitPeers": True,
        "HostInfo": {"Hostname": "web1", "NetInfo": {"PreferredDERP": 900}},
        "Endpoints": ["192.0.2.7:41641"],
        "EndpointTypes": [2],
        **fields,
    }
