"""Our HTTP/2 server against `h2` as the client: what a well-behaved peer sees."""

import pytest
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    PingAckReceived,
    RemoteSettingsChanged,
    SettingsAcknowledged,
    StreamReset,
)
from h2.settings import SettingCodes

from gateway.edge import http2
from gateway.edge.http2 import Connection, ErrorCode, GoingAway, Limits, Pong, RequestReceived, RequestRefused
from tests.wire.http2_peer import HEADERS, Peer


@pytest.mark.statement(27, 28)
def test_settings_are_there_before_the_client_has_said_anything():
    first = b"".join(Connection().take())

    assert first[3:9] == bytes([4, 0, 0, 0, 0, 0])


@pytest.mark.statement(30)
def test_the_client_learns_that_it_may_have_250_streams():
    peer = Peer()

    [changed] = peer.heard_of(RemoteSettingsChanged)
    assert changed.changed_settings[SettingCodes.MAX_CONCURRENT_STREAMS].new_value == 250
    assert peer.heard_of(SettingsAcknowledged)
    assert peer.server.ready


@pytest.mark.statement(29)
def test_a_request_arrives_whole_with_any_authority():
    peer = Peer()

    stream_id = peer.request(b'{"Version":113}', [("user-agent", "Go-http-client/2.0"), ("accept-encoding", "gzip")])

    assert peer.seen == [
        RequestReceived(
            stream_id,
            "POST",
            "/machine/map",
            "unused",
            (("user-agent", "Go-http-client/2.0"), ("accept-encoding", "gzip")),
            b'{"Version":113}',
        )
    ]


@pytest.mark.statement(32)
def test_a_get_with_a_body_keeps_its_body():
    peer = Peer()

    peer.request(b"{}", method="GET")

    assert [(event.method, event.body) for event in peer.seen] == [("GET", b"{}")]


@pytest.mark.statement(36)
def test_repeated_headers_all_arrive():
    peer = Peer()

    peer.request(b"{}", [("ts-lb", "nodekey:1"), ("ts-lb", "nodekey:2")])

    assert peer.seen[0].headers == (("ts-lb", "nodekey:1"), ("ts-lb", "nodekey:2"))


def test_a_request_split_at_every_byte_is_the_same_request():
    for piece in (1, 2, 3, 5, 7, 9, 10, 64):
        peer = Peer()
        peer.client.send_headers(1, [*HEADERS, ("x", "y" * 300)])
        peer.client.send_data(1, b"z" * 700, end_stream=True)
        peer.run(piece)
        assert [(event.body, event.headers) for event in peer.seen] == [(b"z" * 700, (("x", "y" * 300),))]


@pytest.mark.parametrize("status", [200, 201, 204, 400, 401, 404, 413, 429, 500, 503])
def test_an_answer_arrives_with_its_status_type_and_length(status):
    peer = Peer()
    stream_id = peer.request(b"{}")

    peer.server.send_head(stream_id, status, "application/json", 2, [("retry-after", "5")])
    peer.server.send_data(stream_id, [b"{", b"}"])
    peer.server.end(stream_id)
    peer.run()

    assert peer.head(stream_id) == {
        ":status": str(status),
        "content-type": "application/json",
        "content-length": "2",
        "retry-after": "5",
    }
    assert peer.body(stream_id) == b"{}"
    assert peer.ended(stream_id)
    assert peer.server.streams == 0


@pytest.mark.statement(37)
def test_no_answer_says_that_it_is_compressed():
    peer = Peer()
    stream_id = peer.request(b"{}", [("accept-encoding", "gzip")])

    peer.server.send_head(stream_id, 200, "application/json")
    peer.run()

    assert "content-encoding" not in peer.head(stream_id)


def test_an_answer_without_body_ends_with_its_head():
    peer = Peer()
    stream_id = peer.request()

    assert peer.server.send_head(stream_id, 204, end=True)
    peer.run()

    assert peer.ended(stream_id)
    assert not peer.server.send_head(stream_id, 204, end=True)


def test_long_header_values_survive_their_encoding():
    peer = Peer()
    stream_id = peer.request()

    peer.server.send_head(stream_id, 200, "x" * 126, 10**12, [("a" * 127, "b" * 5000)])
    peer.run()

    assert peer.head(stream_id)["a" * 127] == "b" * 5000
    assert peer.head(stream_id)["content-type"] == "x" * 126


@pytest.mark.parametrize("header", [("x", "a\r\nb"), ("X", "a"), ("x y", "a"), ("x", "\0")])
def test_a_header_of_ours_that_could_split_the_answer_is_refused(header):
    peer = Peer()
    with pytest.raises(ValueError, match="cannot be sent"):
        peer.server.send_head(peer.request(), 200, extra=[header])


@pytest.mark.statement(30)
def test_250_streams_are_open_at_once_and_the_next_is_refused():
    peer = Peer()
    peer.client.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 300
    peer.client.remote_settings.acknowledge()
    streams = [peer.request(b"{}") for _ in range(251)]

    assert len(peer.seen) == 250
    [refused] = peer.heard_of(StreamReset)
    assert (refused.stream_id, refused.error_code) == (streams[-1], ErrorCodes.REFUSED_STREAM)


def test_streams_are_answered_in_any_order():
    peer = Peer()
    streams = [peer.request(b"%d" % number) for number in range(20)]
    for stream_id in reversed(streams):
        peer.server.send_head(stream_id, 200)
        peer.server.send_data(stream_id, [b"answer %d" % stream_id])
        peer.server.end(stream_id)
    peer.run()

    assert [peer.body(stream_id) for stream_id in streams] == [b"answer %d" % stream_id for stream_id in streams]


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


@pytest.mark.parametrize("padding", [0, 1, 255])
def test_padding_is_read_over_and_counted(padding):
    peer = Peer()
    peer.client.send_headers(1, HEADERS)
    for _ in range(200):
        peer.client.send_data(1, b"12345", pad_length=padding)
        peer.run()
    peer.client.end_stream(1)
    peer.run()

    assert peer.seen[0].body == b"12345" * 200


def test_a_header_block_over_many_frames_is_read():
    peer = Peer(Limits(max_header_list=64_000, max_header_block=64_000))
    fields = [(f"x-{n}", "!{}" * 300) for n in range(40)]
    peer.client.send_headers(1, [*HEADERS, *fields], end_stream=True)
    data = peer.client.data_to_send()
    kinds = _kinds(data)

    peer.seen += peer.server.receive(data)

    assert kinds[0] == 1
    assert set(kinds[1:]) == {9}
    assert peer.seen[0].headers == tuple(fields)


def test_headers_with_padding_and_priority_are_read():
    peer = Peer()
    peer.client.send_headers(1, HEADERS, end_stream=True, priority_weight=16, priority_depends_on=0)
    plain = peer.client.data_to_send()
    payload = bytes([200]) + plain[9:] + bytes(200)
    padded = len(payload).to_bytes(3, "big") + bytes([1, plain[4] | 0x8]) + plain[5:9] + payload

    peer.seen += peer.server.receive(padded)

    assert plain[4] & 0x20
    assert peer.seen[0].target == "/machine/map"


def _kinds(data: bytes) -> list[int]:
    kinds = []
    while data:
        kinds.append(data[3])
        data = data[9 + int.from_bytes(data[:3], "big") :]
    return kinds


def test_trailers_end_a_request_and_are_read_over():
    peer = Peer()
    peer.client.send_headers(1, HEADERS)
    peer.client.send_data(1, b"body")
    peer.client.send_headers(1, [("checksum", "1")], end_stream=True)
    peer.run()

    assert peer.seen[0].body == b"body"
    assert peer.seen[0].headers == ()


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


@pytest.mark.statement(35)
def test_a_body_above_the_limit_is_refused_and_the_rest_read_over():
    peer = Peer(Limits(max_body=1000))
    peer.client.send_headers(1, HEADERS)
    for _ in range(11):
        peer.client.send_data(1, b"x" * 100)
    peer.run()
    assert peer.seen == [RequestRefused(1, 413)]

    peer.server.send_head(1, 413, content_length=0, end=True)
    peer.run()
    assert peer.head(1)[":status"] == "413"
    assert [event.error_code for event in peer.heard_of(StreamReset)] == [ErrorCodes.NO_ERROR]
    assert peer.server.streams == 0
    assert peer.request(b"{}") == peer.seen[-1].stream_id


@pytest.mark.statement(35)
def test_an_announced_length_above_the_limit_is_refused_before_any_byte_of_it():
    peer = Peer()
    peer.client.send_headers(1, [*HEADERS, ("content-length", str((1 << 20) + 1))])
    peer.run()

    assert peer.seen == [RequestRefused(1, 413)]


def test_a_header_list_above_the_limit_is_refused_with_431():
    peer = Peer()
    peer.client.remote_settings[SettingCodes.MAX_HEADER_LIST_SIZE] = 1 << 20
    peer.client.remote_settings.acknowledge()
    peer.client.send_headers(1, [*HEADERS, *((f"n{n}", "v" * 400) for n in range(45))], end_stream=True)
    peer.run()

    assert peer.seen == [RequestRefused(1, 431)]
    assert peer.request(b"{}") == peer.seen[-1].stream_id


def test_all_incomplete_bodies_together_are_bounded():
    peer = Peer(Limits(max_buffered_bodies=1000))
    for stream_id in range(1, 40, 2):
        peer.client.send_headers(stream_id, HEADERS)
        peer.client.send_data(stream_id, b"x" * 100)
        peer.run()

    assert {event.error_code for event in peer.heard_of(StreamReset)} == {ErrorCodes.ENHANCE_YOUR_CALM}
    assert peer.server.streams == 10


def test_a_target_that_may_have_a_long_body_gets_it_beside_the_others():
    limits = Limits(max_body=100, max_buffered_bodies=150, body_limit=lambda target: 500 * (target == "/long"))
    peer = Peer(limits)
    long = [(name, "/long" if name == ":path" else value) for name, value in HEADERS]
    for stream_id, headers in ((1, long), (3, HEADERS), (5, long)):
        peer.client.send_headers(stream_id, headers)
    for _ in range(5):
        peer.client.send_data(1, b"x" * 100)
    peer.client.send_data(3, b"y" * 100, end_stream=True)
    peer.client.end_stream(1)
    peer.client.send_data(5, b"z" * 501)
    peer.run()

    assert [(type(event), event.stream_id) for event in peer.seen] == [
        (RequestReceived, 3),
        (RequestReceived, 1),
        (RequestRefused, 5),
    ]
    assert peer.seen[1].body == b"x" * 500


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
