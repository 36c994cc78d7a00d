"""What every server and channel of ours promise: one suite over the in-process pair and over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from services.shared.config.model import ServicesConfig
from services.shared.keys import MachineKey
from services.shared.rpc import LocalChannel, LocalServer, ObserveInterceptor, OutgoingChannel, RpcServer, dial
from services.shared.rpc import with_machine_key as carrying
from services.shared.telemetry import Telemetry
from tests.contract.rpc.echo import EchoServicer, EchoStub

TOKEN = ServicesConfig(token="let me in")


def text(value: str) -> StringValue:
    return StringValue(value=value)


@asynccontextmanager
async def local(servicer: EchoServicer) -> AsyncIterator[Any]:
    server = LocalServer([ObserveInterceptor(Telemetry())])
    servicer.add_to(server)
    async with OutgoingChannel([LocalChannel(server)]) as channel:
        yield channel
    await server.stop(0)


@asynccontextmanager
async def tcp(servicer: EchoServicer) -> AsyncIterator[Any]:
    server = RpcServer(TOKEN, Telemetry())
    server.add(servicer)
    port = await server.start("127.0.0.1:0")
    await server.set_ready(True)
    async with dial(f"127.0.0.1:{port}", TOKEN) as channel:
        yield channel
    await server.stop(0)


@pytest.fixture
def servicer() -> EchoServicer:
    return EchoServicer()


@pytest.fixture(params=[local, tcp])
async def stub(request: pytest.FixtureRequest, servicer: EchoServicer) -> AsyncIterator[EchoStub]:
    async with request.param(servicer) as channel:
        yield EchoStub(channel)


async def within(awaitable: Any, seconds: float = 5) -> Any:
    async with asyncio.timeout(seconds):
        return await awaitable


async def test_a_unary_call_answers(stub: EchoStub) -> None:
    assert (await stub.One(text("a"), timeout=5)).value == "one a"


async def test_a_message_is_not_shared_with_the_other_side(stub: EchoStub, servicer: EchoServicer) -> None:
    request = text("mine")
    await stub.One(request, timeout=5)
    assert servicer.last_request is not request
    assert servicer.last_request is not None
    servicer.last_request.value = "theirs"
    assert request.value == "mine"


async def test_abort_gives_code_text_and_trailing_metadata(stub: EchoStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.One(text("abort"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "no such thing"
    assert ("why", "gone") in list(caught.value.trailing_metadata())


async def test_a_code_that_was_set_is_the_status(stub: EchoStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.One(text("set code"), timeout=5)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too much")


async def test_a_typed_exception_becomes_its_status(stub: EchoStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.One(text("odd"), timeout=5)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "it is odd")


async def test_an_unforeseen_exception_says_nothing_of_itself(stub: EchoStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.One(text("crash"), timeout=5)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INTERNAL, "internal error")


async def test_the_machine_key_travels_as_metadata(stub: EchoStub) -> None:
    key = MachineKey(bytes(range(32)))
    assert (await stub.One(text("who"), metadata=carrying(key), timeout=5)).value == str(key)


async def test_a_call_for_a_client_without_its_key_is_unauthenticated(stub: EchoStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.One(text("who"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_server_knows_the_deadline(stub: EchoStub) -> None:
    assert (await stub.One(text("remaining"), timeout=5)).value == "yes"


async def test_initial_and_trailing_metadata_arrive(stub: EchoStub) -> None:
    call = stub.One(text("trailing"), timeout=5)
    await call
    assert ("first", "1") in list(await call.initial_metadata())
    assert ("last", "2") in list(await call.trailing_metadata())
    assert await call.code() is grpc.StatusCode.OK


async def test_a_deadline_ends_both_sides(stub: EchoStub, servicer: EchoServicer) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.One(text("wait"), timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await within(servicer.cancelled.wait())
    await within(servicer.done_callbacks.wait())


async def test_cancelling_the_waiting_task_cancels_the_handler(stub: EchoStub, servicer: EchoServicer) -> None:
    async def ask() -> None:
        await stub.One(text("wait"), timeout=30)

    task = asyncio.create_task(ask())
    await within(servicer.started.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await within(servicer.cancelled.wait())


async def test_an_absent_method_is_unimplemented(stub: EchoStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Absent(text("a"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_method_that_nobody_wrote_is_unimplemented(stub: EchoStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Unwritten(text("a"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_stream_of_responses_ends_after_the_last(stub: EchoStub) -> None:
    assert [answer.value[0] async for answer in stub.Many(text("4"), timeout=5)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("count", "code"), [("5", grpc.StatusCode.ABORTED), ("6", grpc.StatusCode.FAILED_PRECONDITION)]
)
async def test_a_stream_that_fails_half_way_gives_what_it_had_first(
    stub: EchoStub, count: str, code: grpc.StatusCode
) -> None:
    heard: list[str] = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for answer in stub.Many(text(count), timeout=5):
            heard.append(answer.value[0])
    assert heard == ["0", "1", "2", "3"]
    assert caught.value.code() is code


async def test_a_writer_waits_for_a_slow_reader(stub: EchoStub, servicer: EchoServicer) -> None:
    call = stub.Many(text("200000"), timeout=30)
    await call.read()
    await within(servicer.started.wait())
    last = -1
    while last != servicer.written:
        last = servicer.written
        await asyncio.wait({asyncio.ensure_future(call.code())}, timeout=0.2)
    assert servicer.written < 100_000
    call.cancel()


async def test_many_requests_give_one_answer(stub: EchoStub) -> None:
    async def requests() -> AsyncIterator[StringValue]:
        for word in ("a", "b", "c"):
            yield text(word)

    assert (await stub.Collect(requests(), timeout=5)).value == "a,b,c"
    call = stub.Collect(timeout=5)
    await call.write(text("d"))
    await call.done_writing()
    assert (await call).value == "a,b,c,d"


async def test_both_sides_talk_in_turn(stub: EchoStub) -> None:
    call = stub.Talk(timeout=5)
    await call.write(text("hello"))
    assert (await call.read()).value == "heard hello"
    await call.write(text("more"))
    assert (await call.read()).value == "heard more"
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_the_server_may_end_a_talk(stub: EchoStub) -> None:
    call = stub.Talk(timeout=5)
    await call.write(text("bye"))
    assert await within(call.read()) is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_cancelling_a_talk_ends_the_handler(stub: EchoStub, servicer: EchoServicer) -> None:
    call = stub.Talk()
    await call.write(text("hello"))
    await call.read()
    assert call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.read()
    assert await call.code() is grpc.StatusCode.CANCELLED
    await within(servicer.ended.wait())  # over a socket the handler may see the end of the requests first
    await within(servicer.done_callbacks.wait())


@pytest.mark.parametrize("kind", [local, tcp])
async def test_a_server_that_stops_ends_its_streams_as_unavailable(kind: Any, servicer: EchoServicer) -> None:
    if kind is local:
        server: Any = LocalServer()
        servicer.add_to(server)
        channel: Any = LocalChannel(server)
    else:
        server = RpcServer(TOKEN, Telemetry())
        server.add(servicer)
        port = await server.start("127.0.0.1:0")
        await server.set_ready(True)
        channel = dial(f"127.0.0.1:{port}", TOKEN)
    call = EchoStub(channel).Talk()
    await call.write(text("hello"))
    await call.read()
    await within(server.stop(0.05))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await within(call.read())
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    await channel.close()
