"""What only sockets have: strangers, certificates, health, reflection, replicas that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodOptions
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import generate_latest

from services.shared.config.model import ServicesConfig, ServicesTlsConfig
from services.shared.rpc import RpcServer, dial
from services.shared.rpc.server import InsecureError
from services.shared.telemetry import Telemetry
from tests.contract.rpc.echo import NAME, EchoServicer, EchoStub
from tests.fakes.certificates import issue

TOKEN = ServicesConfig(token="let me in")


def text(value: str) -> StringValue:
    return StringValue(value=value)


@asynccontextmanager
async def serving(
    security: ServicesConfig = TOKEN,
    address: str = "127.0.0.1:0",
    servicer: EchoServicer | None = None,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[tuple[RpcServer, int]]:
    server = RpcServer(security, telemetry or Telemetry())
    server.add(servicer or EchoServicer())
    port = await server.start(address)
    await server.set_ready(True)
    yield server, port
    await server.stop(0)


@pytest.mark.parametrize("shown", [(), (("smartscale-token", "wrong"),), (("smartscale-token", "let me in"),) * 2])
async def test_a_stranger_is_refused(shown: tuple[tuple[str, str], ...]) -> None:
    async with serving() as (_server, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await EchoStub(channel).One(text("a"), timeout=5, metadata=shown)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        call = EchoStub(channel).Talk(timeout=5, metadata=shown)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_what_strangers_call_is_counted_and_leaves_no_name_behind() -> None:
    telemetry = Telemetry()
    async with (
        serving(telemetry=telemetry) as (_server, port),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        for number in range(20):
            call = channel.unary_unary(f"/made.up/Method{number}")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"", timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    series = generate_latest(telemetry.registry).decode()
    assert "smartscale_rpc_refused_total 20.0" in series
    assert "made.up" not in series


def test_a_server_open_to_strangers_is_not_made() -> None:
    with pytest.raises(InsecureError):
        RpcServer(ServicesConfig(), Telemetry())


async def test_health_needs_no_token_and_tells_readiness() -> None:
    async with serving() as (server, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", NAME):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        await server.set_ready(False)
        answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_reflection_lists_the_services_to_those_with_the_token() -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with serving() as (_server, port), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(iter([request]), timeout=5, metadata=(("smartscale-token", "let me in"),))
        listed = {service.name for service in (await call.read()).list_services_response.service}
        assert {NAME, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= listed


async def test_a_taken_address_is_an_error() -> None:
    async with serving() as (_server, port):
        server = RpcServer(TOKEN, Telemetry())
        with pytest.raises(OSError, match="cannot listen"):
            await server.start(f"127.0.0.1:{port}")


async def test_a_unix_socket_works_too(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/s"
    async with serving(address=address), dial(address, TOKEN) as channel:
        assert (await EchoStub(channel).One(text("a"))).value == "one a"


async def test_a_call_waits_for_a_server_that_is_not_there_yet() -> None:
    async with serving() as (_server, port):
        pass
    async with dial(f"127.0.0.1:{port}", TOKEN) as channel:
        task = asyncio.ensure_future(EchoStub(channel).One(text("a"), timeout=20))
        async with serving(address=f"127.0.0.1:{port}"):
            assert (await task).value == "one a"


async def test_a_server_that_is_not_ready_is_not_asked() -> None:
    never, asked = EchoServicer(), EchoServicer()
    async with serving(servicer=never) as (sleepy, one), serving(servicer=asked) as (_server, two):
        await sleepy.set_ready(False)
        async with dial([f"127.0.0.1:{one}", f"127.0.0.1:{two}"], TOKEN) as channel:
            for _ in range(6):
                await EchoStub(channel).One(text("a"), timeout=10)
    assert asked.started.is_set()
    assert not never.started.is_set()


async def test_calls_go_to_all_replicas_and_survive_the_loss_of_one() -> None:
    first, second = EchoServicer(), EchoServicer()
    async with (
        serving(servicer=first) as (dying, one),
        serving(servicer=second) as (_server, two),
        dial([f"127.0.0.1:{one}", f"127.0.0.1:{two}"], TOKEN) as channel,
    ):
        stub = EchoStub(channel)
        async with asyncio.timeout(10):
            while not (first.started.is_set() and second.started.is_set()):
                await stub.One(text("a"), timeout=5)
        await dying.stop(0)
        for _ in range(10):
            await stub.One(text("a"), timeout=10)


async def test_names_of_several_hosts_are_balanced_too() -> None:
    async with serving() as (_server, port), dial([f"localhost:{port}", f"127.0.0.1:{port}"], TOKEN) as channel:
        for _ in range(4):
            assert (await EchoStub(channel).One(text("a"), timeout=10)).value == "one a"


class FailingServicer(EchoServicer):
    """Unavailable for the first calls."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.calls = 0
        self.failures = failures

    async def One(self, request: StringValue, context: Any) -> StringValue:
        self.calls += 1
        if self.calls <= self.failures:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return request


@pytest.fixture(scope="module")
def declared() -> str:
    """The full name of a service whose descriptor is loaded, with a method of each idempotency level."""
    file = FileDescriptorProto(name="smartscale/test/repeats.proto", package="smartscale.test", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    service = file.service.add(name="RepeatService")
    for name, level in (
        ("Read", MethodOptions.NO_SIDE_EFFECTS),
        ("Put", MethodOptions.IDEMPOTENT),
        ("GetUndeclared", None),
    ):
        method = service.method.add(name=name)
        method.input_type = method.output_type = ".google.protobuf.StringValue"
        if level is not None:
            method.options.idempotency_level = level
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    return "smartscale.test.RepeatService"


@pytest.mark.parametrize(("method", "calls"), [("Read", 3), ("Put", 3), ("GetUndeclared", 1), ("GetUnknown", 1)])
async def test_only_calls_that_are_declared_repeatable_are_sent_again(declared: str, method: str, calls: int) -> None:
    servicer = FailingServicer(2)
    coders = (StringValue.FromString, StringValue.SerializeToString)

    def add_to(server: Any) -> None:
        handlers = {method: grpc.unary_unary_rpc_method_handler(servicer.One, *coders)}
        server.add_registered_method_handlers(declared, handlers)

    servicer.add_to = add_to  # type: ignore[method-assign]
    async with serving(servicer=servicer) as (_server, port), dial(f"127.0.0.1:{port}", TOKEN) as channel:
        ask = channel.unary_unary(
            f"/{declared}/{method}",
            request_serializer=StringValue.SerializeToString,
            response_deserializer=StringValue.FromString,
        )
        outcome = await asyncio.gather(ask(text("a"), timeout=10), return_exceptions=True)
    assert servicer.calls == calls
    assert isinstance(outcome[0], StringValue if calls == 3 else grpc.aio.AioRpcError)


def tls_of(folder: Path, ca: str, name: str) -> ServicesConfig:
    return ServicesConfig(
        tls=ServicesTlsConfig(
            ca_path=folder / f"{ca}.pem",
            cert_path=folder / f"{name}.pem",
            key_path=folder / f"{name}.key",
            server_name="smartscale",
        )
    )


async def test_certificates_of_the_deployment_let_in_and_others_do_not(tmp_path: Path) -> None:
    for name, authority in (("node", "ours"), ("stranger", "theirs")):
        signer = issue(authority, authority=True)
        signer.write(tmp_path, authority)
        issue("smartscale", by=signer).write(tmp_path, name)
    async with serving(tls_of(tmp_path, "ours", "node")) as (_server, port):
        async with dial(f"127.0.0.1:{port}", tls_of(tmp_path, "ours", "node")) as channel:
            assert (await EchoStub(channel).One(text("a"), timeout=10)).value == "one a"
        async with dial(f"127.0.0.1:{port}", tls_of(tmp_path, "ours", "stranger")) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await EchoStub(channel).One(text("a"), timeout=2)
