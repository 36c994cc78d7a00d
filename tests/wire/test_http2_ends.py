"""PING, RST_STREAM and GOAWAY, said and heard: what ends, and what lives on."""

import pytest
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, PingAckReceived, StreamReset

from gateway.edge import http2
from gateway.edge.http2 import ErrorCode, GoingAway, Pong
from tests.wire.http2_peer import HEADERS, Peer


def test_a_ping_is_answered_with_its_own_bytes():
    peer = Peer()
    peer.client.ping(b"12345678")
    peer.run()

    assert [event.ping_data for event in peer.heard_of(PingAckReceived)] == [b"12345678"]


def test_our_ping_is_heard_back():
    peer = Peer()
    peer.server.ping()
    peer.run()

    assert peer.seen == [Pong()]


@pytest.mark.statement(33)
def test_a_cancelled_stream_is_reported_and_the_connection_lives_on():
    peer = Peer()
    stream_id = peer.request(b"{}")
    peer.server.send_head(stream_id, 200)
    peer.run()
    peer.client.reset_stream(stream_id, ErrorCodes.CANCEL)
    peer.client.ping(b"after it")
    peer.run()

    assert peer.seen[-1] == http2.StreamReset(stream_id, ErrorCode.CANCEL)
    assert not peer.server.send_data(stream_id, [b"late"])
    peer.server.end(stream_id)
    again = peer.request(b"{}")
    assert peer.seen[-1].stream_id == again
    assert peer.server.streams == 1


def test_data_that_waited_for_a_cancelled_stream_never_leaves():
    peer = Peer(initial_window=5)
    stream_id = peer.request(b"{}")
    peer.server.send_head(stream_id, 200)
    peer.server.send_data(stream_id, [b"x" * 100])
    peer.run()
    peer.client.reset_stream(stream_id)
    peer.run()

    assert peer.server.take() == []
    assert peer.server.unsent(stream_id) == 0


def test_our_reset_reaches_the_client():
    peer = Peer()
    stream_id = peer.request(b"{}")
    peer.server.reset(stream_id, ErrorCode.INTERNAL_ERROR)
    peer.run()

    assert [event.error_code for event in peer.heard_of(StreamReset)] == [ErrorCodes.INTERNAL_ERROR]


def test_goaway_lets_open_streams_finish_and_refuses_new_ones():
    peer = Peer()
    stream_id = peer.request(b"{}")
    peer.client.send_headers(3, HEADERS, end_stream=True)
    crossing = peer.client.data_to_send()
    peer.server.go_away()
    peer.server.receive(crossing)
    peer.server.send_head(stream_id, 200)
    peer.server.send_data(stream_id, [b"last words"])
    peer.server.end(stream_id)
    down = b"".join(peer.server.take())

    assert down.count(b"last words") == 1
    assert bytes([0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 7]) in down
    peer.heard += peer.client.receive_data(down[: 9 + 8])
    [gone] = peer.heard_of(ConnectionTerminated)
    assert (gone.error_code, gone.last_stream_id) == (ErrorCodes.NO_ERROR, stream_id)


def test_a_client_that_goes_away_is_reported_and_still_answered():
    peer = Peer()
    stream_id = peer.request(b"{}")
    peer.server.receive(bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes(8))
    assert peer.server.send_head(stream_id, 200)

    other = Peer()
    other.client.close_connection()
    other.run()
    assert other.seen == [GoingAway(0)]


def test_a_sweep_resets_what_the_peer_has_not_moved_since_the_last():
    peer = Peer(initial_window=10)
    unfinished, stuck, waiting = 1, 3, 5
    for stream_id in (unfinished, stuck, waiting):
        peer.client.send_headers(stream_id, HEADERS, end_stream=stream_id != unfinished)
    peer.run()
    for stream_id in (stuck, waiting):
        peer.server.send_head(stream_id, 200)
    peer.server.send_data(stuck, [b"x" * 11])
    peer.run()

    assert peer.server.sweep() == []
    peer.client.send_data(unfinished, b"moves")
    peer.run()
    assert peer.server.sweep() == [http2.StreamReset(stuck, ErrorCode.CANCEL)]
    assert peer.server.sweep() == []
    peer.run()

    assert [event.stream_id for event in peer.heard_of(StreamReset)] == [stuck, unfinished]
    assert peer.server.send_data(waiting, [b"still here"])
