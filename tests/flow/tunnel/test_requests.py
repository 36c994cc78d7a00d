"""Requests through the tunnel and back: whole answers, streams, many at once, and what is refused."""

import asyncio
import os

import pytest

from services.shared.keys import MachineKey
from tests.fakes.edge import serve_edge, until
from tests.fakes.noise_client import StreamResetError
from tests.flow.tunnel.opening import BOTH, connect

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@BOTH
@pytest.mark.statement(6, 7, 11, 20, 29)
async def test_a_request_walks_through_the_tunnel_and_back(websocket):
    async with serve_edge() as edge, await connect(edge, version=130, websocket=websocket) as client:
        status, headers, body = await client.request("POST", "/echo?a=b", b'{"x":1}', [("ts-lb", "n")])

        assert (status, body) == (200, b'{"x":1}')
        assert headers == {"content-type": "application/json", "content-length": "7"}
        [request] = edge.handler.requests
        assert (request.method, request.path, request.query, request.body) == ("POST", "/echo", "a=b", b'{"x":1}')
        assert request.capability_version == 130
        assert isinstance(request.machine_key, MachineKey)
        assert request.header("ts-lb") == "n"
        assert request.remote_address == "127.0.0.1"


@BOTH
@pytest.mark.statement(14, 34)
async def test_each_message_of_a_stream_arrives_before_the_next_is_sent(websocket):
    async with serve_edge() as edge, await connect(edge, websocket=websocket) as client:
        stream = await client.start("/stream", b"first")
        assert await stream.read() == b"first"
        for number in range(50):
            assert edge.handler.streams[0].send([b"message ", b"%d" % number])
            assert await stream.read() == b"message %d" % number
        edge.handler.streams[0].end()

        assert await stream.read() is None
        assert edge.handler.closed == 0
        assert not edge.handler.streams[0].send([b"late"])


@BOTH
async def test_a_map_of_3_mb_arrives_as_it_was_sent(websocket):
    pieces = [os.urandom(70_000) for _ in range(45)]
    async with serve_edge() as edge, await connect(edge, websocket=websocket) as client:
        stream = await client.start("/stream")
        assert edge.handler.streams[0].send(pieces)
        edge.handler.streams[0].end()

        assert await stream.read_all() == b"".join(pieces)


@pytest.mark.statement(33)
async def test_a_cancelled_stream_ends_its_session_and_the_connection_stays_usable():
    async with serve_edge() as edge, await connect(edge) as client:
        stream = await client.start("/stream", b"x")
        await stream.cancel()
        await until(lambda: edge.handler.closed)

        assert edge.handler.streams[0].closed
        assert not edge.handler.streams[0].send([b"late"])
        assert (await client.request("POST", "/echo", b"still here"))[2] == b"still here"


@BOTH
@pytest.mark.statement(33)
async def test_a_connection_that_goes_ends_all_its_sessions(websocket):
    async with serve_edge() as edge:
        client = await connect(edge, websocket=websocket)
        await client.start("/stream", b"x")
        asking = asyncio.create_task(client.request("POST", "/hold"))
        await until(lambda: edge.handler.held)
        await client.close()
        await until(lambda: edge.handler.closed == 2)
        with pytest.raises(StreamResetError):
            await asking

        edge.handler.held[0].respond(200, b"{}")
        assert edge.handler.held[0].closed
        assert edge.tunnels.counts.tunnels == 0
        assert edge.tunnels.counts.connections == 0


async def test_a_held_request_is_answered_when_its_handler_decides():
    async with serve_edge() as edge, await connect(edge) as client:
        asking = asyncio.create_task(client.request("POST", "/hold"))
        await until(lambda: edge.handler.held)
        edge.handler.held[0].respond(429, b"slow down", "text/plain", [("retry-after", "7")])

        status, headers, body = await asking
        assert (status, headers["retry-after"], body) == (429, "7", b"slow down")


async def test_who_asks_about_the_end_too_late_is_told_at_once():
    async with serve_edge() as edge, await connect(edge) as client:
        asking = asyncio.create_task(client.request("POST", "/hold"))
        await until(lambda: edge.handler.held)
        await client.close()
        await until(lambda: edge.handler.closed)
        told = []
        edge.handler.held[0].on_closed(lambda: told.append(True))
        assert told == [True]
        await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.statement(31)
async def test_one_machine_key_may_have_several_connections():
    async with serve_edge() as edge, await connect(edge) as one, await connect(edge) as two:
        await one.start("/stream", b"1")
        assert (await two.request("GET", "/echo", b"2"))[2] == b"2"
        assert (await one.request("GET", "/echo", b"3"))[2] == b"3"

        assert len({request.machine_key for request in edge.handler.requests}) == 1
        assert len({request.connection_id for request in edge.handler.requests}) == 2


@pytest.mark.statement(30)
async def test_many_requests_are_under_way_at_once_on_one_connection():
    async with serve_edge() as edge, await connect(edge) as client:
        answers = await asyncio.gather(*(client.request("POST", "/echo", b"%d" % n) for n in range(100)))

        assert [body for _, _, body in answers] == [b"%d" % n for n in range(100)]


@pytest.mark.statement(37)
async def test_an_unknown_path_gets_the_handlers_404_at_once():
    async with serve_edge() as edge, await connect(edge) as client:
        assert (await client.request("GET", "/machine/nothing"))[0] == 404


@pytest.mark.statement(35)
async def test_a_body_above_1_mib_gets_413_and_the_connection_stays_usable():
    async with serve_edge() as edge, await connect(edge) as client:
        status, _, body = await client.request("POST", "/echo", bytes((1 << 20) + 1))
        assert (status, body) == (413, b"request body too large")
        assert (await client.request("POST", "/echo", bytes(1 << 20)))[2] == bytes(1 << 20)
        assert edge.tunnels.counts.requests_refused == 1


async def test_the_answer_to_head_has_no_body():
    async with serve_edge() as edge, await connect(edge) as client:
        status, headers, body = await client.request("HEAD", "/nothing")
        assert (status, headers["content-length"], body) == (404, "12", b"")


async def test_a_fault_of_the_handler_becomes_a_plain_500(caplog):
    async with serve_edge() as edge, await connect(edge) as client:
        assert await client.request("POST", "/raise", b"secret") == (
            500,
            {"content-type": "text/plain", "content-length": "14"},
            b"internal error",
        )
        with pytest.raises(StreamResetError):
            await (await client.start("/late")).read_all()
        assert (await client.request("POST", "/echo", b"on"))[2] == b"on"
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == ["request failed"] * 2
