"""Our HTTP/2 server against peers that break the rules or try to cost us: each gets the right code, nothing escapes."""

import struct

import hpack
import pytest
from h2.errors import ErrorCodes
from h2.events import StreamReset
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge.http2 import Connection, ErrorCode, Limits, ProtocolError
from tests.wire.http2_peer import HEADERS, Peer

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADER, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
HUGE = 2**31 - 1
GET = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a")]


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


def block(headers: list[tuple[str, str]]) -> bytes:
    return hpack.Encoder().encode(headers)


def setting(key: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, struct.pack(">HL", key, value))


def connected(limits: Limits | None = None) -> Connection:
    server = Connection(limits or Limits())
    server.receive(PREFACE + frame(SETTINGS, 0, 0))
    server.take()
    return server


def with_request() -> Connection:
    server = connected()
    server.receive(frame(HEADER, 0x5, 1, block(GET)))
    return server


def sent(server: Connection) -> bytes:
    return b"".join(server.take())


def goaway_code(server: Connection) -> int:
    data = sent(server)
    assert data[-17:-8] == frame(GOAWAY, 0, 0, bytes(8))[:9]
    return int.from_bytes(data[-4:], "big")


OPEN = frame(HEADER, 0x4, 1, block(GET))
CONNECTION_ERRORS = {
    "data on stream 0": (frame(DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "data on an idle stream": (frame(DATA, 0, 1, b"x"), ErrorCode.PROTOCOL_ERROR),
    "data on an even stream": (OPEN + frame(DATA, 0, 2, b"x"), ErrorCode.PROTOCOL_ERROR),
    "padding as long as the frame": (OPEN + frame(DATA, 0x8, 1, b"\x05abcd"), ErrorCode.PROTOCOL_ERROR),
    "padded without a length": (OPEN + frame(DATA, 0x8, 1), ErrorCode.FRAME_SIZE_ERROR),
    "headers on stream 0": (frame(HEADER, 0x5, 0, block(GET)), ErrorCode.PROTOCOL_ERROR),
    "headers on an even stream": (frame(HEADER, 0x5, 2, block(GET)), ErrorCode.PROTOCOL_ERROR),
    "headers too short for priority": (frame(HEADER, 0x25, 1, b"\0\0\0"), ErrorCode.FRAME_SIZE_ERROR),
    "headers that do not decode": (frame(HEADER, 0x5, 1, b"\xff\xff\xff\xff\xff\xff"), ErrorCode.COMPRESSION_ERROR),
    "headers that index nothing": (frame(HEADER, 0x5, 1, b"\xbe"), ErrorCode.COMPRESSION_ERROR),
    "a header block interrupted": (frame(HEADER, 0x1, 1, b"\x82") + frame(PING, 0, 0, bytes(8)), 1),
    "a header block interrupted by the unknown": (frame(HEADER, 0x1, 1, b"\x82") + frame(99, 0, 0), 1),
    "a continuation of another stream": (frame(HEADER, 0x1, 1, b"\x82") + frame(CONTINUATION, 4, 3), 1),
    "a continuation of nothing": (frame(CONTINUATION, 0x4, 1), ErrorCode.PROTOCOL_ERROR),
    "a continuation without end": (
        frame(HEADER, 0x1, 1, b"\x82") + frame(CONTINUATION, 0, 1) * 33,
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "a header block too long": (
        frame(HEADER, 0x1, 1, bytes(16000)) + frame(CONTINUATION, 0, 1, bytes(16384)) * 2,
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "a header list that explodes": (
        frame(HEADER, 0x5, 1, b"\x40\x01x\x7f\xa1\x1f" + b"y" * 4000 + b"\xbe" * 12000),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "priority of stream 0": (frame(PRIORITY, 0, 0, bytes(5)), ErrorCode.PROTOCOL_ERROR),
    "priority of a broken length": (frame(PRIORITY, 0, 1, bytes(4)), ErrorCode.FRAME_SIZE_ERROR),
    "a reset of stream 0": (frame(RST, 0, 0, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    "a reset of an idle stream": (frame(RST, 0, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    "a reset of a broken length": (OPEN + frame(RST, 0, 1, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
    "settings on a stream": (frame(SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
    "settings of a broken length": (frame(SETTINGS, 0, 0, bytes(5)), ErrorCode.FRAME_SIZE_ERROR),
    "an acknowledgement with settings": (frame(SETTINGS, 1, 0, bytes(6)), ErrorCode.FRAME_SIZE_ERROR),
    "push neither on nor off": (setting(2, 2), ErrorCode.PROTOCOL_ERROR),
    "a window beyond its maximum": (setting(4, 2**31), ErrorCode.FLOW_CONTROL_ERROR),
    "a frame size too small": (setting(5, 16383), ErrorCode.PROTOCOL_ERROR),
    "a frame size too large": (setting(5, 2**24), ErrorCode.PROTOCOL_ERROR),
    "a push promise": (frame(PUSH, 0x4, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    "a ping on a stream": (frame(PING, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "a ping of a broken length": (frame(PING, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "goaway on a stream": (frame(GOAWAY, 0, 1, bytes(8)), ErrorCode.PROTOCOL_ERROR),
    "goaway of a broken length": (frame(GOAWAY, 0, 0, bytes(7)), ErrorCode.FRAME_SIZE_ERROR),
    "a window update of nothing": (frame(WINDOW, 0, 0, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    "a window update of a broken length": (frame(WINDOW, 0, 0, bytes(3)), ErrorCode.FRAME_SIZE_ERROR),
    "a window update of an idle stream": (frame(WINDOW, 0, 1, b"\0\0\0\1"), ErrorCode.PROTOCOL_ERROR),
    "a connection window overflowing": (frame(WINDOW, 0, 0, HUGE.to_bytes(4, "big")), ErrorCode.FLOW_CONTROL_ERROR),
    "a stream window overflowing by settings": (
        OPEN + frame(WINDOW, 0, 1, (HUGE - 65_535).to_bytes(4, "big")) + setting(4, 65_536),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "a frame too large": (b"\x00\x40\x01" + bytes([DATA, 0, 0, 0, 0, 1]), ErrorCode.FRAME_SIZE_ERROR),
    "a flood of pings": (frame(PING, 0, 0, bytes(8)) * 1001, ErrorCode.ENHANCE_YOUR_CALM),
    "a flood of settings": (frame(SETTINGS, 0, 0) * 1001, ErrorCode.ENHANCE_YOUR_CALM),
    "a flood of priorities": (frame(PRIORITY, 0, 1, bytes(5)) * 1001, ErrorCode.ENHANCE_YOUR_CALM),
    "a flood of the unknown": (frame(77, 0, 0) * 1001, ErrorCode.ENHANCE_YOUR_CALM),
    "a flood of empty data": (OPEN + frame(DATA, 0, 1) * 1001, ErrorCode.ENHANCE_YOUR_CALM),
    "a flood of padding": (OPEN + frame(DATA, 0x8, 1, b"\x00") * 1001, ErrorCode.ENHANCE_YOUR_CALM),
    "a header block of table size updates": (
        frame(HEADER, 0x5, 1, b"\x20" * 3 + block(GET)),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "table size updates of several bytes": (
        frame(HEADER, 0x5, 1, b"\x3f\xe1\x1f" * 3 + block(GET)),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "a flood of long header blocks": (
        b"".join(frame(HEADER, 0x5, 2 * n + 1, block([*GET, ("x", "y" * 15_000)])) for n in range(150)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "a flood of settings in few frames": (frame(SETTINGS, 0, 0, struct.pack(">HL", 3, 1) * 2700) * 4, 11),
    "a flood of data in single bytes": (OPEN + frame(DATA, 0, 1, b"x") * 1001, ErrorCode.ENHANCE_YOUR_CALM),
    "a flood of empty continuations": (
        b"".join(frame(HEADER, 0x1, 1) + frame(CONTINUATION, 0, 1) * 33 for _ in range(1)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
    "a flood of window updates": (frame(WINDOW, 0, 0, b"\0\0\0\1") * 1001, ErrorCode.ENHANCE_YOUR_CALM),
}


@pytest.mark.parametrize("name", CONNECTION_ERRORS)
def test_a_peer_that_breaks_the_connections_rules_gets_the_code_that_says_which(name):
    data, code = CONNECTION_ERRORS[name]
    server = connected()

    with pytest.raises(ProtocolError) as raised:
        server.receive(data)

    assert raised.value.code == code
    assert goaway_code(server) == code
    with pytest.raises(ProtocolError):
        server.receive(frame(PING, 0, 0, bytes(8)))
    assert server.streams == 0


STREAM_ERRORS = {
    "data after the end": (frame(HEADER, 0x5, 1, block(GET)) + frame(DATA, 0, 1, b"x"), ErrorCode.STREAM_CLOSED),
    "headers after the end": (frame(HEADER, 0x5, 1, block(GET)) * 2, ErrorCode.STREAM_CLOSED),
    "trailers that do not end": (OPEN + frame(HEADER, 0x4, 1, block([("a", "b")])), ErrorCode.PROTOCOL_ERROR),
    "trailers with pseudo-headers": (OPEN + frame(HEADER, 0x5, 1, block(GET)), ErrorCode.PROTOCOL_ERROR),
    "a window update of nothing": (OPEN + frame(WINDOW, 0, 1, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    "a window overflowing": (OPEN + frame(WINDOW, 0, 1, HUGE.to_bytes(4, "big")), ErrorCode.FLOW_CONTROL_ERROR),
    "a body longer than announced": (
        frame(HEADER, 0x4, 1, block([*GET, ("content-length", "1")])) + frame(DATA, 1, 1, b"xy"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a body shorter than announced": (
        frame(HEADER, 0x4, 1, block([*GET, ("content-length", "3")])) + frame(DATA, 1, 1, b"xy"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a length and no body": (frame(HEADER, 0x5, 1, block([*GET, ("content-length", "3")])), ErrorCode.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", STREAM_ERRORS)
def test_a_peer_that_breaks_one_streams_rules_loses_that_stream_only(name):
    data, code = STREAM_ERRORS[name]
    server = connected()

    server.receive(data)

    assert frame(RST, 0, 1, code.to_bytes(4, "big")) in sent(server)
    assert server.receive(frame(HEADER, 0x5, 3, block(GET)))[0].stream_id == 3


MALFORMED = {
    "no method": [(":scheme", "https"), (":path", "/")],
    "no path": [(":method", "GET"), (":scheme", "https")],
    "no scheme": [(":method", "GET"), (":path", "/")],
    "an empty path": [(":method", "GET"), (":scheme", "https"), (":path", "")],
    "a path that is none": [(":method", "GET"), (":scheme", "https"), (":path", "machine")],
    "a path with control characters": [(":method", "GET"), (":scheme", "https"), (":path", "/\x01")],
    "a path that is not ascii": [(":method", "GET"), (":scheme", "https"), (":path", "/é")],
    "connect": [(":method", "CONNECT"), (":authority", "a")],
    "a method that is none": [(":method", "G T"), (":scheme", "https"), (":path", "/")],
    "a pseudo-header twice": [*GET, (":path", "/b")],
    "a pseudo-header after a field": [*GET[:2], ("a", "b"), GET[2]],
    "an unknown pseudo-header": [*GET, (":status", "200")],
    "an upper-case name": [*GET, ("Accept", "b")],
    "an empty name": [*GET, ("", "b")],
    "a name with a space": [*GET, ("a b", "b")],
    "a value with a line break": [*GET, ("a", "b\r\nc: d")],
    "a value with a null": [*GET, ("a", "\0")],
    "connection": [*GET, ("connection", "close")],
    "transfer-encoding": [*GET, ("transfer-encoding", "chunked")],
    "te": [*GET, ("te", "gzip")],
    "two lengths": [*GET, ("content-length", "1"), ("content-length", "2")],
    "a length that is none": [*GET, ("content-length", "-1")],
    "a length beyond counting": [*GET, ("content-length", "9" * 30)],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_header_list_that_is_no_request_is_reset(name):
    server = connected()

    assert server.receive(frame(HEADER, 0x5, 1, block(MALFORMED[name]))) == []

    assert frame(RST, 0, 1, (1).to_bytes(4, "big")) in sent(server)
    assert server.streams == 0


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"])
def test_a_peer_without_the_preface_is_refused_at_its_first_wrong_byte(start):
    server = Connection()
    server.take()

    with pytest.raises(ProtocolError):
        server.receive(start)
    assert goaway_code(server) == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("first", [frame(PING, 0, 0, bytes(8)), frame(SETTINGS, 1, 0), OPEN])
def test_a_peer_that_does_not_start_with_settings_is_refused(first):
    server = Connection()
    server.take()

    with pytest.raises(ProtocolError):
        server.receive(PREFACE + first)


def test_more_data_than_the_window_of_the_stream_costs_the_stream():
    server = connected(Limits(max_body=1000))
    server.receive(frame(HEADER, 0x4, 1, block(GET)))

    server.receive(frame(DATA, 0, 1, bytes(16384)) * 4)

    assert frame(RST, 0, 1, ErrorCode.FLOW_CONTROL_ERROR.to_bytes(4, "big")) in sent(server)


def test_requests_that_are_cancelled_at_once_end_the_connection_soon():
    server = connected()
    flood = b"".join(
        frame(HEADER, 0x5, n, block(GET)) + frame(RST, 0, n, (8).to_bytes(4, "big")) for n in range(1, 400, 2)
    )

    with pytest.raises(ProtocolError) as raised:
        server.receive(flood)

    assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM
    assert server.last_stream_id < 250


def test_requests_that_make_us_cancel_them_end_the_connection_soon():
    server = connected()
    flood = b"".join(frame(HEADER, 0x5, n, block(GET)) + frame(WINDOW, 0, n, bytes(4)) for n in range(1, 400, 2))

    with pytest.raises(ProtocolError) as raised:
        server.receive(flood)

    assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM


def test_pings_are_free_again_after_a_sweep_and_not_by_being_answered():
    server = connected()
    for _ in range(5):
        server.receive(frame(PING, 0, 0, bytes(8)) * 900)
        server.take()
        server.sweep()
    server.receive(frame(PING, 0, 0, bytes(8)) * 900)
    server.take()
    with pytest.raises(ProtocolError):
        server.receive(frame(PING, 0, 0, bytes(8)) * 900)


def test_answers_for_a_peer_that_does_not_read_are_bounded():
    server = connected(Limits(budget=10**6))
    with pytest.raises(ProtocolError) as raised:
        server.receive(frame(PING, 0, 0, bytes(8)) * 2000)

    assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM
    assert len(sent(server)) < 1002 * 17


def test_a_client_may_update_both_windows_for_each_frame_it_got_for_ever():
    peer = Peer()
    stream_id = peer.request(b"{}")
    peer.server.send_head(stream_id, 200)
    for _ in range(3000):
        peer.server.send_data(stream_id, [b"patch"])
        peer.server.take()
        update = (5).to_bytes(4, "big")
        peer.server.receive(frame(WINDOW, 0, 0, update) + frame(WINDOW, 0, stream_id, update))

    assert peer.server.window(stream_id) == 65_535


def test_frames_that_cross_our_reset_are_harmless():
    peer = Peer()
    peer.client.send_headers(1, HEADERS)
    peer.run()
    peer.server.reset(1)
    peer.client.send_data(1, b"late")
    peer.client.send_headers(1, [("trailer", "late")], end_stream=True)
    peer.client.send_headers(3, [*HEADERS, ("trailer", "late")], end_stream=True)
    late = peer.client.data_to_send()

    [request] = peer.server.receive(late)

    assert request.headers == (("trailer", "late"),)
    peer.heard += peer.client.receive_data(sent(peer.server))
    assert {event.error_code for event in peer.heard_of(StreamReset)} <= {ErrorCodes.CANCEL, ErrorCodes.STREAM_CLOSED}


def test_unknown_settings_and_frames_are_read_over():
    server = connected()

    assert server.receive(setting(0x4242, 7) + frame(0x42, 0xFF, 1, b"what")) == []
    assert server.receive(frame(HEADER, 0x5, 1, block(GET)))[0].target == "/"


@given(st.binary(max_size=400))
def test_random_bytes_raise_nothing_but_a_protocol_error(data):
    _feed(Connection(), data)


@given(st.binary(max_size=400))
def test_random_bytes_after_a_request_raise_nothing_but_a_protocol_error(data):
    _feed(with_request(), data)


FRAMES = st.builds(
    frame,
    st.integers(0, 11),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 7, HUGE]),
    st.one_of(st.binary(max_size=40), st.just(block(GET)), st.just(b"\0\0\0\1"), st.just(bytes(8))),
)


@given(st.lists(FRAMES, max_size=30), st.integers(1, 50))
def test_random_frames_raise_nothing_but_a_protocol_error(parts, piece):
    server = with_request()
    server.send_head(1, 200)
    server.send_data(1, [b"x" * 70_000])
    _feed(server, b"".join(parts), piece)
    assert server.streams <= 5


@given(st.binary(max_size=200))
def test_random_header_blocks_raise_nothing_but_a_protocol_error(data):
    _feed(connected(), frame(HEADER, 0x5, 1, data))


def _feed(server: Connection, data: bytes, piece: int = 1000) -> None:
    try:
        for start in range(0, len(data), piece):
            server.receive(data[start : start + piece])
            server.take()
    except ProtocolError as error:
        assert b"".join(server.take()).endswith(int(error.code).to_bytes(4, "big"))


@pytest.mark.parametrize("updates", [b"\x20", b"\x20\x3f\xe1\x1f"])
def test_an_encoder_that_changes_its_table_twice_is_understood(updates):
    server = connected()
    server.receive(frame(HEADER, 0x5, 1, updates + block(GET)))
    assert server.streams == 1


def test_usual_requests_and_their_window_updates_use_no_budget():
    server = connected()
    for number in range(1, 2001, 2):
        server.receive(frame(HEADER, 0x5, number, block([*GET, ("x", "y" * 300)])))
        server.send_head(number, 200)
        server.send_data(number, [b"{}"])
        server.end(number)
        server.receive(frame(WINDOW, 0, 0, b"\0\0\0\2")) if server.take() else None
    assert server.streams == 0
