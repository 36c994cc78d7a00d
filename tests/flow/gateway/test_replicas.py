"""Two gateways and two map streamers over one registry: what a client notices when one of them goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import gateway.wiring
import services.map_streamer.wiring
from services.shared.bus import MemoryBus
from services.shared.config.model import Config
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.rpc.client import OutgoingChannel
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.process import Deps
from services.shared.telemetry import Telemetry
from tests.fakes.device import Device
from tests.fakes.edge import until
from tests.fakes.tailnet import BUILDS, Tailnet, config_in, tailnet_in


class Replica:
    """A service on a server of its own."""

    def __init__(self, service: Any, server: LocalServer) -> None:
        self.service, self.server, self.gone = service, server, False

    async def kill(self) -> None:
        """It is gone: its calls break, nobody said goodbye."""
        if not self.gone:
            self.gone = True
            await self.server.stop(None)
            await self.service.stop()


class Spread:
    """A stack in one loop."""

    def __init__(self, gateways: list[Any], streamers: list[Replica], tailnet: Tailnet) -> None:
        self.gateways, self.streamers, self.tailnet = gateways, streamers, tailnet

    def device(self, hostname: str, gateway_number: int) -> Device:
        """A device that dials one of the gateways."""
        url = f"http://127.0.0.1:{self.gateways[gateway_number].port}"
        device = Device(url, hostname)
        self.tailnet.devices.append(device)
        return device


@asynccontextmanager
async def spread(folder: Path) -> AsyncIterator[Spread]:
    """Registry, policy and auth once; gateways and map streamers twice, each gateway knowing both streamers."""
    config = config_in(folder)
    bus, clock = MemoryBus(), SystemClock()
    async with AsyncExitStack() as stack:
        base = LocalServer()
        channels: dict[str, grpc.aio.Channel] = dict.fromkeys(("registry", "policy", "auth"), LocalChannel(base))
        channels["map_streamer"] = LocalChannel(base)
        deps = Deps(clock, bus, channels, Telemetry())
        for name in ("policy", "registry", "auth"):
            service = await BUILDS[name](config, deps)
            service.add_to(base)
            await service.start()
            stack.push_async_callback(service.stop)
        streamers = [await _streamer(config, deps) for _ in range(2)]
        for replica in streamers:
            stack.push_async_callback(replica.kill)
        gateways = []
        for number in range(2):
            own = _config_of(config, folder / f"admin{number}.sock")
            both = OutgoingChannel([LocalChannel(replica.server) for replica in streamers])
            telemetry = Telemetry()
            made = await gateway.wiring.build(own, Deps(clock, bus, {**channels, "map_streamer": both}, telemetry))
            await made.start()
            stack.push_async_callback(made.stop)
            gateways.append(made)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"unix:{folder}/admin0.sock"))
        tailnet = Tailnet(f"http://127.0.0.1:{gateways[0].port}", channel, gateways[0], Telemetry())
        yield Spread(gateways, streamers, tailnet)
        for device in tailnet.devices:
            await device.close()


def _config_of(config: Config, socket: Path) -> Config:
    return replace(config, unix_socket=socket)


async def _streamer(config: Config, deps: Deps) -> Replica:
    service = await services.map_streamer.wiring.build(config, replace(deps, telemetry=Telemetry()))
    server = LocalServer()
    service.add_to(server)
    await service.start()
    return Replica(service, server)


async def test_devices_at_different_gateways_see_each_other(tmp_path: Path) -> None:
    async with spread(tmp_path) as stack:
        key = await stack.tailnet.auth_key(await stack.tailnet.user("alice"))
        web = await stack.device("web", 0).join(key)
        phone = await stack.device("phone", 1).join(key)
        await web.sees(phone, lambda peer: peer["Online"])
        await phone.sees(web, lambda peer: peer["Online"])
        await phone.report("192.0.2.1:1")
        await web.sees(phone, lambda peer: peer.get("Endpoints") == ["192.0.2.1:1"])


@pytest.mark.parametrize("first", [0, 1])
async def test_when_a_map_streamer_dies_no_client_notices_and_changes_go_on(tmp_path: Path, first: int) -> None:
    async with spread(tmp_path) as stack:
        key = await stack.tailnet.auth_key(await stack.tailnet.user("alice"))
        web = await stack.device("web", 0).join(key)
        phone = await stack.device("phone", 1).join(key)
        await web.sees(phone)
        await stack.streamers[first].kill()
        await phone.report("192.0.2.1:1")
        await web.sees(phone, lambda peer: peer.get("Endpoints") == ["192.0.2.1:1"])
        late = await stack.device("late", 0).join(key)
        await phone.sees(late)
        assert not web.map_ended.is_set() and not phone.map_ended.is_set()


async def test_a_client_that_moves_to_another_gateway_is_never_offline_and_its_newest_report_counts(
    tmp_path: Path,
) -> None:
    async with spread(tmp_path) as stack:
        key = await stack.tailnet.auth_key(await stack.tailnet.user("alice"))
        web = await stack.device("web", 0).join(key)
        phone = await stack.device("phone", 1).join(key)
        await phone.report("192.0.2.1:1")
        await web.sees(phone, lambda peer: peer.get("Endpoints") == ["192.0.2.1:1"])
        here = phone.url
        await phone.close()
        phone.url = stack.device("nobody", 0).url
        await phone.connect()
        assert await phone.open_map() == 200
        await phone.report("192.0.2.2:2")
        await web.sees(phone, lambda peer: peer.get("Endpoints") == ["192.0.2.2:2"])
        await phone.close()
        phone.url = here
        await phone.connect()
        assert await phone.open_map() == 200
        await phone.report("192.0.2.1:1")
        await web.sees(phone, lambda peer: peer.get("Endpoints") == ["192.0.2.1:1"])
        patches = [patch for message in web.netmap.history for patch in message.get("PeersChangedPatch", [])]
        assert not any(patch.get("Online") is False for patch in patches)


async def test_one_trace_leads_from_a_map_request_to_the_messages_that_it_causes(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = Telemetry(tracer=provider.get_tracer("test"), tracing=True)
    async with tailnet_in(tmp_path, telemetry=telemetry) as tailnet:
        key = await tailnet.auth_key(await tailnet.user("alice"))
        web, phone = await tailnet.device("web").join(key), await tailnet.device("phone").join(key)
        await web.sees(phone, lambda peer: peer.get("Online") is True)
        exporter.clear()
        assert await phone.report("192.0.2.1:1") == 200
        await web.sees(phone, lambda peer: peer.get("Endpoints") == ["192.0.2.1:1"])
        await until(lambda: "map delta sent" in {span.name for span in exporter.get_finished_spans()})
        finished = exporter.get_finished_spans()
    request = next(span for span in finished if span.name == "POST /machine/map")
    assert request.context is not None
    trace_id = request.context.trace_id
    walked = {span.name for span in finished if span.context is not None and span.context.trace_id == trace_id}
    assert walked >= {
        "POST /machine/map",
        "smartscale.registry.v1.RegistryService/UpdateNode",
        "registry commit",
        "map_streamer fan out",
        "map delta sent",
    }
    spans: dict[str, ReadableSpan] = {span.name: span for span in finished}
    update = spans["smartscale.registry.v1.RegistryService/UpdateNode"]
    assert update.parent is not None and update.parent.span_id == request.context.span_id
