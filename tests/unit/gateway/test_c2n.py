"""NodeQueries to nodes: how they are put, and whose answer counts."""

from __future__ import annotations

import asyncio
import base64
import struct

import orjson
import pytest
import zstandard
from prometheus_client import CollectorRegistry

from gateway.machine.c2n import BadAnswerError, NodeNotConnectedError, NodeQueries
from gateway.machine.map_sessions import MapSessions
from gateway.machine.metrics import MachineMetrics
from gateway.machine.session import Cursor, MapSessionRequest
from services.shared.keys import MachineKey, NodeKey
from tests.fakes.tunnel import FakeResponder, FakeTime, FakeWriter, tunnel_request

MACHINE = MachineKey(b"\1" * 32)


class Nobody:
    """Presence that nobody looks at, and a map streamer that hears nothing."""

    attached = False

    def opened(self, *_what: object) -> None: ...
    def closed(self, *_what: object) -> None: ...
    def paused(self, *_what: object) -> None: ...
    def dropped(self, *_what: object) -> None: ...


def connected(*, zstd: bool = False) -> tuple[NodeQueries, FakeWriter]:
    """NodeQueries with node 7 connected."""
    time = FakeTime()
    sessions = MapSessions(time, time.after, Nobody(), MachineMetrics(CollectorRegistry()))
    responder = FakeResponder()
    session = sessions.open(MapSessionRequest(MACHINE, NodeKey(b"\2" * 32), 113, zstd, False), responder)
    sessions.accepted(session.route, 7)
    sessions.full(session.route, [b"{}"], Cursor(1, 1))
    assert responder.writer is not None
    responder.writer.messages.clear()
    return NodeQueries(sessions), responder.writer


async def asked(writer: FakeWriter) -> dict[str, object]:
    """The PingRequest that the node got."""
    async with asyncio.timeout(2):
        while not writer.messages:  # noqa: ASYNC110  a fake that knows no events
            await asyncio.sleep(0)
    raw = writer.messages.pop()
    assert struct.unpack("<I", raw[:4])[0] == len(raw) - 4
    text = zstandard.decompress(raw[4:]) if raw[4:8] == b"\x28\xb5\x2f\xfd" else raw[4:]
    message = orjson.loads(text)
    assert message["KeepAlive"] is True
    return dict(message["PingRequest"])


def path_of(ping: dict[str, object]) -> str:
    """The path that the node posts to."""
    url = str(ping["URL"])
    assert url.startswith("https://unused/c2n/") and "?" not in url
    return url.removeprefix("https://unused")


@pytest.mark.statement(133, 134)
@pytest.mark.parametrize("zstd", [False, True])
async def test_the_answer_of_the_asked_machine_is_the_answer(zstd: bool) -> None:
    questions, writer = connected(zstd=zstd)
    asking = asyncio.create_task(questions.c2n(7, "POST", "/echo", b"hello"))
    ping = await asked(writer)
    assert ping["Types"] == "c2n" and ping["URLIsNoise"] is True
    question = base64.b64decode(str(ping["Payload"]))
    assert question == b"POST /echo HTTP/1.1\r\nHost: c2n\r\nContent-Length: 5\r\n\r\nhello"
    responder = FakeResponder()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    questions.answer(tunnel_request(path_of(ping), answer, MACHINE), responder)
    said = await asking
    assert (said.status, said.body, responder.status) == (200, b"hello", 204)
    assert len(questions) == 0


@pytest.mark.statement(133)
async def test_another_machine_cannot_answer() -> None:
    questions, writer = connected()
    asking = asyncio.create_task(questions.c2n(7, "GET", "/echo"))
    path = path_of(await asked(writer))
    stranger, owner = FakeResponder(), FakeResponder()
    questions.answer(tunnel_request(path, b"HTTP/1.1 500 no\r\n\r\n", MachineKey(b"\7" * 32)), stranger)
    questions.answer(tunnel_request(path, b"HTTP/1.1 204 ok\r\n\r\n", MACHINE), owner)
    assert (stranger.status, owner.status, (await asking).status) == (404, 204, 204)


@pytest.mark.statement(134)
async def test_each_question_has_an_address_of_its_own() -> None:
    questions, writer = connected()
    asking = [asyncio.create_task(questions.alive(7)) for _ in range(2)]
    first = await asked(writer)
    second = await asked(writer)
    assert first["URL"] != second["URL"] and first["Types"] == ""
    for ping in (first, second):
        questions.answer(tunnel_request(path_of(ping), b"", MACHINE, "HEAD"), FakeResponder())
    await asyncio.gather(*asking)


async def test_a_ping_brings_back_what_the_node_measured() -> None:
    questions, writer = connected()
    asking = asyncio.create_task(questions.ping(7, "100.64.0.2", "disco,TSMP"))
    ping = await asked(writer)
    assert (ping["Types"], ping["IP"]) == ("disco,TSMP", "100.64.0.2")
    questions.answer(tunnel_request(path_of(ping), b'{"LatencySeconds":0.1}', MACHINE), FakeResponder())
    assert await asking == b'{"LatencySeconds":0.1}'


async def test_a_node_elsewhere_cannot_be_asked() -> None:
    questions, _ = connected()
    with pytest.raises(NodeNotConnectedError):
        await questions.c2n(8, "GET", "/echo")


async def test_a_node_that_reads_slowly_cannot_be_asked() -> None:
    questions, writer = connected()
    writer.paused = True
    with pytest.raises(NodeNotConnectedError):
        await questions.c2n(7, "GET", "/echo")


async def test_silence_ends_the_question() -> None:
    questions, writer = connected()
    with pytest.raises(TimeoutError):
        await questions.c2n(7, "GET", "/echo", timeout=0.01)
    late = FakeResponder()
    questions.answer(tunnel_request(path_of(await asked(writer)), b"", MACHINE), late)
    assert late.status == 404 and len(questions) == 0


async def test_an_answer_that_is_no_http_is_told_apart() -> None:
    questions, writer = connected()
    asking = asyncio.create_task(questions.c2n(7, "GET", "/echo"))
    questions.answer(tunnel_request(path_of(await asked(writer)), b"\0garbage", MACHINE), FakeResponder())
    with pytest.raises(BadAnswerError):
        await asking


@pytest.mark.parametrize(("method", "path"), [("GET /x", "/"), ("GET", "echo"), ("GET", "/a b"), ("GET", "/\r\nX: y")])
async def test_a_question_cannot_smuggle_a_second_one(method: str, path: str) -> None:
    questions, _ = connected()
    with pytest.raises(ValueError, match="method"):
        await questions.c2n(7, method, path)


async def test_only_an_open_question_may_be_answered_at_length_and_only_once() -> None:
    questions, writer = connected()
    asking = asyncio.create_task(questions.c2n(7, "GET", "/debug/netmap"))
    path = "/c2n/" + str((await asked(writer))["URL"]).rpartition("/")[2]
    assert [questions.body_limit(target) for target in ("/c2n/unknown", "/machine/map", "/c2n/", "")] == [0] * 4
    assert questions.body_limit(path + "?x=1") == 32 << 20
    assert questions.body_limit(path) == 0
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert questions.body_limit(path) == 0
