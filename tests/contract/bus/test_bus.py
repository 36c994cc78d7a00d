"""What every bus promises: one suite over memory and over a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.shared.bus import Bus, MemoryBus, Message, Reconnected
from services.shared.bus.queue import Inbox
from services.shared.bus.record import TAG, RecordSigner, pack, unpack
from services.shared.bus.redis import RedisBus
from services.shared.telemetry.setup import Telemetry
from tests.fakes.redis_server import PROGRAM, RedisServer

needs_redis = pytest.mark.skipif(PROGRAM is None, reason="redis-server is not installed")


@dataclass
class Case:
    """One kind of bus, and how its link is cut."""

    make: Callable[..., Bus]
    cut: Callable[[Bus], Awaitable[None]]


async def next_of(reader: AsyncIterator[Any], seconds: float = 10) -> Any:
    async with asyncio.timeout(seconds):
        return await anext(reader)


async def heard_again(bus: Bus, reader: AsyncIterator[Any], payload: bytes) -> None:
    """Publish until it is heard: each try gives the reader the message or a mark that it is missing."""
    heard: Any = None
    while heard != Message("a", payload):
        await bus.publish("a", payload)
        heard = await next_of(reader)


async def _interrupt(bus: Any) -> None:
    bus.interrupt()


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(params=["memory", pytest.param("redis", marks=needs_redis)])
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Case]:
    if request.param == "memory":
        yield Case(lambda capacity=1024: MemoryBus(capacity), _interrupt)
        return
    server = RedisServer(tmp_path)
    await server.start()
    yield Case(lambda capacity=1024: RedisBus(server.url, capacity=capacity), lambda _bus: server.cut_subscribers())
    await server.stop()


@pytest.fixture
async def bus(case: Case) -> AsyncIterator[Bus]:
    made = case.make()
    yield made
    await made.close()


async def test_a_message_reaches_each_subscriber_of_its_topic_only(bus: Bus) -> None:
    async with bus.subscribe("a", "b") as both, bus.subscribe("a") as one, bus.subscribe("c") as other:
        await bus.publish("a", b"\x00\xff")
        await bus.publish("b", b"2")
        await bus.publish("c", b"3")
        assert await next_of(both) == Message("a", b"\x00\xff")
        assert await next_of(both) == Message("b", b"2")
        assert await next_of(one) == Message("a", b"\x00\xff")
        assert await next_of(other) == Message("c", b"3")


async def test_a_subscription_is_live_as_soon_as_it_is_entered(bus: Bus) -> None:
    for number in range(20):
        async with bus.subscribe(f"topic {number}") as reader:
            await bus.publish(f"topic {number}", b"x")
            assert await next_of(reader) == Message(f"topic {number}", b"x")


async def test_messages_keep_their_order(bus: Bus) -> None:
    async with bus.subscribe("a") as reader:
        for number in range(200):
            await bus.publish("a", str(number).encode())
        assert [int((await next_of(reader)).payload) for _ in range(200)] == list(range(200))


async def test_what_was_published_before_is_not_seen(bus: Bus) -> None:
    await bus.publish("a", b"early")
    async with bus.subscribe("a") as reader:
        await bus.publish("a", b"late")
        assert (await next_of(reader)).payload == b"late"


async def test_leaving_ends_only_the_own_subscription(bus: Bus) -> None:
    async with bus.subscribe("a") as stays:
        async with bus.subscribe("a"):
            pass
        await bus.publish("a", b"x")
        assert (await next_of(stays)).payload == b"x"


async def test_a_reader_that_is_too_slow_hears_that_something_is_missing(case: Case) -> None:
    bus = case.make(capacity=4)
    async with bus.subscribe("a") as slow, bus.subscribe("b") as flag:
        for number in range(10):
            await bus.publish("a", str(number).encode())
        await bus.publish("b", b"done")
        assert (await next_of(flag)).payload == b"done"
        assert isinstance(await next_of(slow), Reconnected)
        await bus.publish("a", b"after")
        heard = b""
        while heard != b"after":
            heard = getattr(await next_of(slow), "payload", b"")
    await bus.close()


async def test_a_reader_cancelled_in_the_moment_of_a_message_does_not_lose_it() -> None:
    inbox, message = Inbox(), Message("a", b"x")
    waiting = asyncio.ensure_future(anext(inbox))
    await asyncio.sleep(0)
    inbox.put(message)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await anext(inbox) == message


async def test_a_cut_connection_is_told_and_then_works_again(bus: Bus, case: Case) -> None:
    async with bus.subscribe("a") as reader:
        await bus.publish("a", b"1")
        assert (await next_of(reader)).payload == b"1"
        await case.cut(bus)
        assert await next_of(reader) == Reconnected()
        await bus.publish("a", b"2")
        assert (await next_of(reader)).payload == b"2"


async def test_closing_ends_the_readers(case: Case) -> None:
    bus = case.make()
    async with bus.subscribe("a") as reader:
        await bus.close()
        with pytest.raises(StopAsyncIteration):
            await next_of(reader)


async def test_the_trace_travels_with_the_message(bus: Bus) -> None:
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1)))
    async with bus.subscribe("a") as reader:
        with trace.use_span(span):
            await bus.publish("a", b"x")
        assert (await next_of(reader)).traceparent == f"00-{0xABC:032x}-{0xDEF:016x}-01"


@needs_redis
async def test_a_restart_of_redis_is_survived_and_publishing_meanwhile_raises_nothing(redis: RedisServer) -> None:
    bus = RedisBus(redis.url)
    async with bus.subscribe("a") as reader:
        await redis.stop()
        await bus.publish("a", b"lost")
        await redis.start()
        assert await next_of(reader) == Reconnected()
        await heard_again(bus, reader, b"back")
    await bus.close()


@needs_redis
async def test_a_subscription_made_while_redis_is_away_becomes_live_when_it_is_back(redis: RedisServer) -> None:
    bus = RedisBus(redis.url)
    await redis.stop()

    async def first_message() -> Any:
        async with bus.subscribe("a") as reader:
            entered.set()
            return await next_of(reader)

    entered = asyncio.Event()
    task = asyncio.create_task(first_message())
    await redis.start()
    async with asyncio.timeout(10):
        await entered.wait()
    await bus.publish("a", b"x")
    assert (await task).payload == b"x"
    await bus.close()


@needs_redis
async def test_a_reader_begins_without_redis_and_is_told_when_it_is_there(redis: RedisServer) -> None:
    await redis.stop()
    bus = RedisBus(redis.url)
    async with asyncio.timeout(10), bus.subscribe("a") as reader:
        await redis.start()
        assert await next_of(reader) == Reconnected()
        await heard_again(bus, reader, b"first")
    await bus.close()


@needs_redis
async def test_what_could_not_be_published_is_told_to_readers_who_noticed_nothing(redis: RedisServer) -> None:
    writer, reader_bus = RedisBus(redis.url), RedisBus(redis.url)
    async with reader_bus.subscribe("a") as reader:
        publish, failures = writer._publisher.publish, [TimeoutError(), RedisError()]

        async def failing(topic: str, data: bytes) -> Any:
            if failures:
                raise failures.pop()
            return await publish(topic, data)

        writer._publisher.publish = failing  # type: ignore[method-assign]
        await writer.publish("a", b"lost")
        assert await next_of(reader) == Reconnected()
        await heard_again(writer, reader, b"later")
    await writer.close()
    await reader_bus.close()


@needs_redis
async def test_publishing_to_a_redis_that_is_away_makes_nobody_wait(redis: RedisServer) -> None:
    bus = RedisBus(redis.url)
    await redis.stop()
    async with asyncio.timeout(5):
        for _ in range(1000):
            await bus.publish("a", b"x")
    await bus.close()


@needs_redis
async def test_a_record_of_another_program_is_dropped(redis: RedisServer) -> None:
    bus = RedisBus(redis.url)
    async with bus.subscribe("a") as reader:
        await bus._publisher.publish("a", b"hello")
        assert await next_of(reader) == Reconnected()
        await bus.publish("a", b"x")
        assert (await next_of(reader)).payload == b"x"
    await bus.close()


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x03\x00x", b"\x01\x09short"])
def test_bytes_of_another_format_are_no_message(data: bytes) -> None:
    assert unpack("a", data) is None


def test_what_is_packed_unpacks() -> None:
    assert unpack("a", pack(b"payload", "trace")) == Message("a", b"payload", "trace")


@needs_redis
async def test_readers_that_come_while_the_bus_connects_all_hear_their_topics(redis: RedisServer) -> None:
    bus = RedisBus(redis.url)
    ready = asyncio.Barrier(41)

    async def read(number: int) -> bytes:
        for _ in range(number):
            await asyncio.sleep(0)  # in another step of the connection than the reader before
        async with bus.subscribe(f"topic {number}") as reader:
            await ready.wait()
            return getattr(await next_of(reader), "payload", b"")

    readers = [asyncio.create_task(read(number)) for number in range(40)]
    async with asyncio.timeout(20):
        await ready.wait()
    for number in range(40):
        await bus.publish(f"topic {number}", str(number).encode())
    assert await asyncio.gather(*readers) == [str(number).encode() for number in range(40)]
    await bus.close()


@needs_redis
async def test_a_topic_that_is_left_and_taken_again_while_redis_confirms_it_is_live(redis: RedisServer) -> None:
    bus = RedisBus(redis.url)
    async with bus.subscribe("stays"):
        for number in range(100):
            async with bus.subscribe("a"):
                pass
            async with bus.subscribe("a") as reader:
                await bus.publish("a", str(number).encode())
                assert await next_of(reader) == Message("a", str(number).encode())
    await bus.close()


@needs_redis
async def test_a_bus_without_readers_for_a_while_hears_the_next_one(redis: RedisServer) -> None:
    bus = RedisBus(redis.url)
    async with bus.subscribe("a"):
        pass
    await redis.cut_subscribers()
    async with bus.subscribe("b") as reader:
        await bus.publish("b", b"x")
        while (heard := await next_of(reader)) == Reconnected():
            await bus.publish("b", b"x")
        assert heard == Message("b", b"x")
    await bus.close()


def forged_by(telemetry: Telemetry) -> float | None:
    return telemetry.registry.get_sample_value("smartscale_bus_unsigned_total")


@needs_redis
async def test_records_of_another_deployment_are_dropped_and_cost_one_reading_of_the_store(redis: RedisServer) -> None:
    telemetry = Telemetry()
    ours, theirs, nobody = (
        RedisBus(redis.url, telemetry, token="ours"),
        RedisBus(redis.url, token="x"),
        Redis.from_url(redis.url),
    )
    async with ours.subscribe("a") as reader, ours.subscribe("end") as end:
        for number in range(50):
            await theirs.publish("a", b"forged")
            await nobody.publish("a", pack(b"forged", ""))
            await nobody.publish("a", b"" if number % 2 else bytes(40))
        await ours.publish("end", b"x")
        assert await next_of(end) == Message("end", b"x")
        assert forged_by(telemetry) == 150
        assert await next_of(reader) == Reconnected()
        await ours.publish("a", b"true")
        heard = await next_of(reader)
        assert heard in (Message("a", b"true"), Reconnected())
        assert await next_of(reader) in (Message("a", b"true"), Reconnected())
    for bus in (ours, theirs):
        await bus.close()
    await nobody.aclose()


@needs_redis
async def test_the_last_of_many_bad_records_is_followed_by_a_reading_of_the_store(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.shared.bus.redis.DISTRUST_SECONDS", 0.05)
    ours, theirs = RedisBus(redis.url, token="ours"), RedisBus(redis.url, token="theirs")
    async with ours.subscribe("a") as reader:
        for _ in range(3):
            await theirs.publish("a", b"x")
        assert await next_of(reader) == Reconnected()
        assert await next_of(reader) == Reconnected()
    await ours.close()
    await theirs.close()


@given(topic=st.text(max_size=40), payload=st.binary(max_size=200), flip=st.integers(0, 10**6))
def test_a_record_with_a_flipped_bit_or_of_another_topic_is_not_ours(topic: str, payload: bytes, flip: int) -> None:
    seal, body = RecordSigner("token"), pack(payload, "")
    record = bytearray(seal.sign(topic, body))
    assert len(record) == len(body) + TAG
    assert seal.verify(topic, bytes(record)) == body
    assert seal.verify(topic + "x", bytes(record)) is None
    assert RecordSigner("token2").verify(topic, bytes(record)) is None
    record[flip // 8 % len(record)] ^= 1 << flip % 8
    assert seal.verify(topic, bytes(record)) is None


def test_without_a_token_records_are_plain() -> None:
    assert RecordSigner("").verify("a", RecordSigner("").sign("a", b"body")) == b"body"
