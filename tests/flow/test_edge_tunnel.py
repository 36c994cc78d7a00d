"""The tunnel over real sockets: requests, streams, slow readers, the end of either side. On both event loops."""

import asyncio
import os

import pytest
import uvloop

from gateway.edge.http2 import frames
from gateway.edge.settings import EdgeSettings
from gateway.noise import Initiator, RemoteNoiseError, Session
from services.shared.keys import MachineKey, PrivateKey
from tests.fakes.edge import Edge, serve_edge, until
from tests.fakes.noise_client import NoiseClient, SocketStream, StreamResetError, dial_upgrade, read_frame

MACHINE = PrivateKey.clamp(b"\x22" * 32)
BOTH = pytest.mark.parametrize("websocket", [False, True], ids=["upgrade", "websocket"])

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    return request.param()


async def connect(edge: Edge, **options) -> NoiseClient:
    return await NoiseClient.connect(edge.url, MACHINE, control_key=edge.control_key, **options)


async def handshake(edge: Edge, machine: PrivateKey = MACHINE) -> tuple[SocketStream, Session, bytes]:
    """Only Noise: the caller says everything else."""
    initiator = Initiator(machine, edge.control_key, PrivateKey.clamp(os.urandom(32)), 113)
    stream = await dial_upgrade(edge.url, initiator.initiation)
    response, left = await read_frame(stream)
    return stream, initiator.finish(response), left


async def read_to_end(stream: SocketStream) -> bytes:
    data = b""
    async with asyncio.timeout(5):
        while more := await stream.read():
            data += more
    return data


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


@BOTH
@pytest.mark.statement(34)
async def test_while_the_clients_window_is_shut_a_stream_is_paused_and_refuses(websocket):
    async with serve_edge() as edge, await connect(edge, websocket=websocket, initial_window=1000) as client:
        stream = await client.start("/stream")
        writer = edge.handler.streams[0]
        assert writer.send([b"a" * 700, b"b" * 700])
        await client.ping()

        assert writer.paused
        assert not writer.send([b"never"])
        assert edge.handler.resumed == 0
        assert await stream.read_exactly(1400) == b"a" * 700 + b"b" * 700
        await until(lambda: edge.handler.resumed == 1)
        assert not writer.paused
        assert writer.send([b"again"])
        assert await stream.read_exactly(5) == b"again"


async def test_a_client_that_stops_reading_its_socket_costs_no_more_than_the_high_water():
    async with serve_edge() as edge, await connect(edge, initial_window=64 << 20) as client:
        stream = await client.start("/stream")
        writer = edge.handler.streams[0]
        client._task.cancel()
        await asyncio.gather(client._task, return_exceptions=True)
        shared = bytes(1 << 20)
        assert writer.send([shared] * 24)
        [tunnel] = edge.tunnels._tunnels
        await until(lambda: tunnel.write_paused)

        assert tunnel._wire.get_write_buffer_size() <= 2 * edge.tunnels.settings.high_water + 20_000
        assert not writer.send([b"never"])

        client._left = b""
        client._task = asyncio.create_task(client._read_all())
        assert len(await stream.read_exactly(24 << 20)) == 24 << 20
        await until(lambda: edge.handler.resumed)
        assert writer.send([b"again"])
        assert await stream.read_exactly(5) == b"again"


async def test_an_aborted_stream_is_reset_and_its_owner_not_called():
    async with serve_edge() as edge, await connect(edge, initial_window=10) as client:
        stream = await client.start("/stream", b"x" * 100)
        edge.handler.streams[0].abort()

        with pytest.raises(StreamResetError):
            await stream.read_all()
        assert edge.handler.streams[0].closed
        assert edge.handler.closed == 0


async def test_clients_go_one_after_the_other_and_are_served_until_their_turn():
    async with serve_edge() as edge, await connect(edge) as one, await connect(edge) as other:
        streams = {client: await client.start("/stream", b"x") for client in (one, other)}
        closing = asyncio.create_task(edge.tunnels.close(3600.0))
        await until(lambda: one.going_away.is_set() or other.going_away.is_set())
        first, second = (one, other) if one.going_away.is_set() else (other, one)
        assert await streams[first].read_all() == b"x"
        await asyncio.wait_for(first.closed.wait(), 5)
        assert (await second.request("POST", "/echo", b"still here"))[2] == b"still here"
        assert not second.going_away.is_set()
        closing.cancel()


async def test_a_client_that_leaves_by_itself_meanwhile_is_no_trouble():
    async with serve_edge() as edge, await connect(edge) as one, await connect(edge) as other:
        for client in (one, other):
            await client.start("/stream", b"x")
        closing = asyncio.create_task(edge.tunnels.close(5.0))
        await until(lambda: one.going_away.is_set() or other.going_away.is_set())
        second = other if one.going_away.is_set() else one
        await second.close()
        await asyncio.wait_for(closing, 20)
        assert edge.tunnels.counts.tunnels == 0


async def test_going_away_ends_streams_and_closes_and_takes_no_more_requests():
    async with serve_edge() as edge, await connect(edge) as client:
        stream = await client.start("/stream", b"x")
        asking = asyncio.create_task(client.request("POST", "/hold"))
        await until(lambda: edge.handler.held)
        await edge.tunnels.close(0.05)

        assert await stream.read_all() == b"x"
        with pytest.raises(StreamResetError):
            await asking
        assert edge.handler.closed == 2
        await asyncio.wait_for(client.closed.wait(), 5)
        assert client.going_away.is_set()


async def test_a_tunnel_opened_while_the_server_ends_is_told_to_go():
    async with serve_edge() as edge:
        edge.tunnels.closing = True
        async with await connect(edge) as client:
            await asyncio.wait_for(client.closed.wait(), 5)
            assert client.going_away.is_set()


@pytest.mark.statement(26)
async def test_the_early_payload_offers_another_challenge_to_each_connection():
    async with serve_edge() as edge, await connect(edge) as one, await connect(edge) as two:
        await one.request("GET", "/echo")
        await two.request("GET", "/echo")
        assert one.challenge is not None
        assert two.challenge is not None
        assert one.challenge != two.challenge


@pytest.mark.statement(27)
async def test_without_an_early_payload_the_tunnel_works_as_well():
    async with serve_edge(EdgeSettings(send_early_payload=False)) as edge, await connect(edge) as client:
        assert (await client.request("GET", "/echo", b"x"))[2] == b"x"
        assert client.challenge is None


@pytest.mark.statement(27, 28)
async def test_settings_come_with_the_response_before_the_client_says_a_byte():
    async with serve_edge(EdgeSettings(send_early_payload=False)) as edge:
        stream, session, left = await handshake(edge)
        plain = session.reader.receive(left)
        async with asyncio.timeout(5):
            while len(plain) < 9:
                plain += session.reader.receive(await stream.read())

        assert plain[3:9] == bytes([frames.SETTINGS, 0, 0, 0, 0, 0])
        await stream.close()


@BOTH
@pytest.mark.statement(25)
async def test_a_client_too_old_is_told_so_and_any_newer_one_is_let_in(websocket):
    async with serve_edge() as edge:
        with pytest.raises(RemoteNoiseError) as refused:
            await connect(edge, version=112, websocket=websocket)
        assert "capability version 112" in refused.value.unverified_text
        for version in (113, 145, 65_535):
            async with await connect(edge, version=version, websocket=websocket) as client:
                assert (await client.request("GET", "/echo"))[0] == 200


@pytest.mark.statement(24)
@pytest.mark.parametrize("bad", [b"\x04\x00\x20" + bytes(32), b"\x03\x00\x00", b"\x04\xff\xff", b"\x04\x00\x00"])
async def test_a_broken_record_ends_that_connection_only(bad):
    async with serve_edge() as edge, await connect(edge) as other:
        await other.start("/stream", b"x")
        client = await connect(edge)
        await client.request("GET", "/echo")
        await client.write_raw(bad)
        await asyncio.wait_for(client.closed.wait(), 5)

        assert (await other.request("GET", "/echo", b"fine"))[2] == b"fine"
        assert edge.handler.closed == 0
        await until(lambda: edge.tunnels.counts.tunnels == 1)
        await client.close()


async def test_broken_http2_gets_goaway_and_the_end():
    async with serve_edge() as edge, await connect(edge) as client:
        await client.start("/stream", b"x")
        await client.send_raw(frames.frame_header(3, frames.PING, 0, 0) + b"bad")
        await asyncio.wait_for(client.closed.wait(), 5)

        assert client.going_away.is_set()
        assert edge.handler.closed == 1
        assert edge.tunnels.counts.tunnels_failed == 1


async def test_a_replayed_initiation_proves_nothing_and_is_dropped_at_the_deadline():
    async with serve_edge(EdgeSettings(head_deadline=0.2)) as edge:
        initiator = Initiator(MACHINE, edge.control_key, PrivateKey.clamp(os.urandom(32)), 113)
        streams = [await dial_upgrade(edge.url, initiator.initiation) for _ in range(2)]
        assert edge.tunnels.counts.half_open == 2
        for stream in streams:
            await read_to_end(stream)

        await until(lambda: edge.tunnels.counts.connections == 0)
        assert edge.handler.requests == []


async def test_a_silent_peer_is_asked_and_then_dropped_while_one_that_answers_stays():
    async with serve_edge(EdgeSettings(check_interval=0.15)) as edge, await connect(edge) as alive:
        await alive.start("/stream", b"x")
        stream, session, _ = await handshake(edge, PrivateKey.clamp(b"\x33" * 32))
        head = bytes([0x83, 0x87, 0x44, 7]) + b"/stream"
        request = frames.PREFACE + frames.settings({}) + frames.frame_header(len(head), frames.HEADERS, 5, 1) + head
        await stream.write(session.sealer.seal(request))
        await until(lambda: len(edge.handler.streams) == 2)
        await until(lambda: edge.handler.closed == 1)

        assert edge.handler.streams[1].closed
        assert edge.tunnels.counts.peers_lost == 1
        assert (await alive.request("GET", "/echo", b"here"))[2] == b"here"


async def test_a_tunnel_that_nobody_uses_is_closed_and_one_in_use_is_not():
    async with serve_edge(EdgeSettings(check_interval=0.1, idle_timeout=0.3)) as edge, await connect(edge) as used:
        await used.start("/stream", b"x")
        async with await connect(edge) as idle:
            await idle.request("GET", "/echo")
            await asyncio.wait_for(idle.closed.wait(), 5)
            assert idle.going_away.is_set()
        assert not used.closed.is_set()


async def test_connections_that_only_sit_there_give_way_to_real_clients():
    async with serve_edge(EdgeSettings(max_half_open=20)) as edge:
        sitting = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(100)]
        await until(lambda: edge.tunnels.counts.half_open_dropped == 80)
        async with await connect(edge) as client:
            assert (await client.request("GET", "/echo", b"in"))[2] == b"in"
            assert edge.tunnels.counts.half_open <= 20
        for _, writer in sitting:
            writer.close()


async def test_one_address_may_have_so_many_connections_and_no_more():
    async with serve_edge(EdgeSettings(max_connections_per_address=2)) as edge:
        async with await connect(edge), await connect(edge):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await connect(edge)
        await until(lambda: edge.tunnels.counts.connections == 0)
        async with await connect(edge) as client:
            assert (await client.request("GET", "/echo"))[0] == 200
        assert edge.tunnels.counts.refused_address == 1


async def test_the_whole_process_has_a_bound_on_connections():
    async with serve_edge(EdgeSettings(max_connections=1)) as edge, await connect(edge):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await connect(edge)
        assert edge.tunnels.counts.refused_full == 1
