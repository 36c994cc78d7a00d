"""Bodies and header lists above the limits are refused before they cost anything."""

import pytest
from h2.errors import ErrorCodes
from h2.events import StreamReset
from h2.settings import SettingCodes

from gateway.edge.http2 import Limits, RequestReceived, RequestRefused
from tests.wire.http2_peer import HEADERS, Peer


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
