"""Requests and answers in HTTP/2 frames, whole, split, padded, many at once; `h2` plays the client."""

import pytest
from h2.errors import ErrorCodes
from h2.events import RemoteSettingsChanged, SettingsAcknowledged, StreamReset
from h2.settings import SettingCodes

from gateway.edge.http2 import Connection, Limits, RequestReceived
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
