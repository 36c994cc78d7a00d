"""One chain for every wire: one trace, the caller in the metadata of services, nothing read before the guard."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from headscale.v1 import apikey_pb2, headscale_pb2_grpc, node_pb2, user_pb2
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from smartscale.admin.v1 import node_pb2 as admin_node_pb2
from smartscale.admin.v1 import node_pb2_grpc as admin_node_pb2_grpc

from services.registry.rpc.servicer import RegistryServicer
from services.shared.rpc.caller import Caller, caller_of
from services.shared.telemetry import Telemetry
from tests.fakes.ports import free_port
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@dataclass
class Traced:
    """A tailnet with administration over TCP, whose spans are kept."""

    tailnet: Tailnet
    spans: InMemorySpanExporter
    tcp: grpc.aio.Channel
    web: httpx.AsyncClient
    key: str


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[Traced]:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    telemetry = Telemetry(tracer=provider.get_tracer("test"), tracing=True)
    address = f"127.0.0.1:{free_port()}"
    config = replace(config_in(tmp_path), grpc_listen_addr=address, grpc_allow_insecure=True)
    async with tailnet_in(tmp_path, config, telemetry) as tailnet, grpc.aio.insecure_channel(address) as tcp:
        key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
        headers = {"authorization": f"Bearer {key}", "traceparent": PARENT}
        async with httpx.AsyncClient(base_url=tailnet.url, headers=headers, timeout=20) as web:
            spans.clear()
            yield Traced(tailnet, spans, tcp, web, key)


async def call_over(traced: Traced, wire: str) -> None:
    if wire == "rest":
        await traced.web.get("/api/v1/node/99")
        return
    stub: Any = traced.tailnet.admin if wire == "unix" else headscale_pb2_grpc.HeadscaleServiceStub(traced.tcp)
    metadata = (("authorization", f"Bearer {traced.key}"), ("traceparent", PARENT))
    with pytest.raises(grpc.aio.AioRpcError, match="node not found"):
        await stub.GetNode(node_pb2.GetNodeRequest(node_id=99), metadata=metadata)


@pytest.mark.parametrize(("wire", "asked"), [("unix", ["GetNode"]), ("grpc", ["VerifyApiKey", "GetNode"]),
                                             ("rest", ["VerifyApiKey", "GetNode"])])  # fmt: skip
async def test_a_call_is_one_trace_that_continues_the_callers(traced: Traced, wire: str, asked: list[str]) -> None:
    await call_over(traced, wire)
    found = [span for span in traced.spans.get_finished_spans() if span.context.trace_id == int(TRACE, 16)]
    (root,) = [span for span in found if span.parent and span.parent.span_id == 0xB7AD6B7169203331]
    assert root.name == "headscale.v1.HeadscaleService.GetNode"
    assert (root.attributes or {})["rpc.grpc.status_code"] == 5
    below = [span for span in found if span.parent and span.parent.span_id == root.context.span_id]
    assert [span.name.rpartition("/")[2] for span in below] == asked
    outside = [span.name for span in traced.spans.get_finished_spans() if span not in found]
    assert [name for name in outside if not name.endswith("/GetChanges")] == []  # services follow each other's logs


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Caller | None]:
    """The callers of ListUsers as the registry learns them; asked for before the registry is made."""
    found: list[Caller | None] = []
    list_users = RegistryServicer.ListUsers

    async def observed(self: RegistryServicer, request: Any, context: Any) -> Any:
        found.append(caller_of(context))
        return await list_users(self, request, context)

    monkeypatch.setattr(RegistryServicer, "ListUsers", observed)
    return found


async def test_services_learn_who_calls_over_which_wire(seen: list[Caller | None], traced: Traced) -> None:
    prefix = traced.key.removeprefix("hskey-api-")[:12]
    await traced.tailnet.admin.ListUsers(user_pb2.ListUsersRequest())
    stub: Any = headscale_pb2_grpc.HeadscaleServiceStub(traced.tcp)
    await stub.ListUsers(user_pb2.ListUsersRequest(), metadata=(("authorization", f"Bearer {traced.key}"),))
    answer = await traced.web.get("/api/v1/user")
    assert answer.status_code == 200, answer.text  # a refused call reaches no service and leaves no caller
    assert seen == [
        Caller("grpc", system_user=getpass.getuser()),
        Caller("grpc", "127.0.0.1", prefix),
        Caller("rest/v1", "127.0.0.1", prefix),
    ]


async def test_nothing_of_a_request_is_read_before_its_caller_is_known(
    traced: Traced, caplog: pytest.LogCaptureFixture
) -> None:
    call: Any = traced.tcp.unary_unary("/headscale.v1.HeadscaleService/CreateUser")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff\xff")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"\xff\xff\xff", metadata=(("authorization", f"Bearer {traced.key}"),))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "headscale.v1.CreateUserRequest" in (caught.value.details() or "")
    assert not [record for record in caplog.records if record.exc_info]


async def test_administration_of_ours_is_on_both_listeners_and_wants_a_key(traced: Traced) -> None:
    stub: Any = admin_node_pb2_grpc.NodeAdminServiceStub(traced.tcp)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.DescribeNodes(admin_node_pb2.DescribeNodesRequest())
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    metadata = (("authorization", f"Bearer {traced.key}"),)
    answer = await stub.DescribeNodes(admin_node_pb2.DescribeNodesRequest(), metadata=metadata)
    assert list(answer.nodes) == []


async def test_health_needs_no_key_and_lists_every_service(traced: Traced, caplog: pytest.LogCaptureFixture) -> None:
    stub: Any = health_pb2_grpc.HealthStub(traced.tcp)
    serving = health_pb2.HealthCheckResponse.SERVING
    assert (await stub.Check(health_pb2.HealthCheckRequest())).status == serving
    listed = (await stub.List(health_pb2.HealthListRequest())).statuses
    assert {"", "headscale.v1.HeadscaleService", "smartscale.admin.v1.UserAdminService"} <= set(listed)
    assert {one.status for one in listed.values()} == {serving}
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_of_both_versions_wants_a_key_and_finds_methods(traced: Traced, version: str) -> None:
    call: Any = traced.tcp.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    symbol = "headscale.v1.HeadscaleService.ListNodes"
    requests = [reflection_pb2.ServerReflectionRequest(file_containing_symbol=name) for name in (symbol, symbol + "x")]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(call(iter(requests[:1]))))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    found, missing = [
        answer async for answer in call(iter(requests), metadata=(("authorization", f"Bearer {traced.key}"),))
    ]
    files = [FileDescriptorProto.FromString(raw) for raw in found.file_descriptor_response.file_descriptor_proto]
    (service,) = next(file for file in files if file.name == "headscale/v1/headscale.proto").service
    assert "ListNodes" in [method.name for method in service.method]
    assert missing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
