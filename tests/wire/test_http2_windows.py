"""Flow control both ways: no more is sent than windows allow, and all of it in the end."""

import pytest
from h2.settings import SettingCodes

from tests.wire.http2_peer import HEADERS, Peer


@pytest.mark.statement(34)
def test_no_more_is_sent_than_a_tiny_window_allows_and_all_of_it_in_the_end():
    peer = Peer(initial_window=10)
    stream_id = peer.request(b"{}")
    peer.server.send_head(stream_id, 200)
    peer.server.send_data(stream_id, [b"0123456789abcdef", b"ghij" * 10])
    peer.run()
    assert peer.body(stream_id) == b"0123456789"
    assert peer.server.unsent(stream_id) == 46
    assert peer.server.window(stream_id) == -46

    peer.client.increment_flow_control_window(3, stream_id)
    peer.run()
    assert peer.body(stream_id) == b"0123456789abc"

    peer.server.end(stream_id)
    peer.run()
    assert not peer.ended(stream_id)

    peer.client.increment_flow_control_window(1000, stream_id)
    peer.run()
    assert peer.body(stream_id) == b"0123456789abcdef" + b"ghij" * 10
    assert peer.ended(stream_id)


@pytest.mark.statement(34)
def test_the_window_of_the_connection_holds_all_streams_back_in_turn():
    peer = Peer(initial_window=1 << 20)
    streams = [peer.request(b"{}") for _ in range(4)]
    for stream_id in streams:
        peer.server.send_head(stream_id, 200)
        peer.server.send_data(stream_id, [b"x" * 40_000])
    peer.run()
    got = [len(peer.body(stream_id)) for stream_id in streams]
    assert sum(got) == 65_535
    assert min(got) > 0

    peer.client.increment_flow_control_window(200_000)
    peer.run()
    assert [len(peer.body(stream_id)) for stream_id in streams] == [40_000] * 4


@pytest.mark.statement(34)
def test_a_smaller_initial_window_makes_windows_negative_until_they_are_paid_back():
    peer = Peer()
    stream_id = peer.request(b"{}")
    peer.server.send_head(stream_id, 200)
    peer.server.send_data(stream_id, [b"a" * 1000])
    peer.run()
    peer.client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 500})
    peer.run()
    assert peer.server.window(stream_id) == -500

    peer.server.send_data(stream_id, [b"b" * 100])
    peer.run()
    assert len(peer.body(stream_id)) == 1000
    peer.client.increment_flow_control_window(550, stream_id)
    peer.run()
    assert len(peer.body(stream_id)) == 1050
    peer.client.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 5000})
    peer.run()
    assert len(peer.body(stream_id)) == 1100


def test_a_large_body_from_the_client_is_let_in_as_windows_are_given_back():
    peer = Peer()
    peer.client.send_headers(1, HEADERS)
    body = bytes(range(256)) * 4000
    while body:
        size = min(peer.client.local_flow_control_window(1), peer.client.max_outbound_frame_size, len(body))
        assert size > 0
        peer.client.send_data(1, body[:size], end_stream=size == len(body))
        body = body[size:]
        peer.run()

    assert peer.seen[0].body == bytes(range(256)) * 4000


def test_frames_are_no_longer_than_the_peer_wants_them():
    peer = Peer(initial_window=1 << 20)
    peer.client.increment_flow_control_window(1 << 20)
    stream_id = peer.request(b"{}")
    peer.server.send_head(stream_id, 200)
    peer.server.take()
    peer.server.send_data(stream_id, [bytes(100_000)])

    sizes = [int.from_bytes(buffer[:3], "big") for buffer in peer.server.take(1 << 20) if len(buffer) == 9]

    assert sizes == [16_384] * 6 + [1_696]


def test_take_stops_near_its_limit_and_goes_on_where_it_stopped():
    peer = Peer(initial_window=1 << 20)
    peer.client.increment_flow_control_window(1 << 20)
    stream_id = peer.request(b"{}")
    peer.server.send_head(stream_id, 200)
    peer.server.send_data(stream_id, [b"q" * 300_000])

    first = sum(len(buffer) for buffer in peer.server.take(32_768))

    assert 32_768 <= first < 32_768 + 16_384 + 100
    assert peer.server.unsent(stream_id) > 200_000


def test_shared_buffers_are_sent_without_being_copied():
    peer = Peer()
    stream_id = peer.request(b"{}")
    peer.server.send_head(stream_id, 200)
    peer.server.take()
    frame = bytes(5000)

    peer.server.send_data(stream_id, [b"head", frame, b"tail"])

    assert any(buffer is frame for buffer in peer.server.take())
