"""DERP frames: the vectors, every split, and what hostile bytes get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.derp import frames
from tests.fakes.derp import VECTORS

STREAM_NAMES = ("send_packet", "ping", "note_preferred", "pong")
STREAM = b"".join(VECTORS[name] for name in STREAM_NAMES)
CLIENT_STREAM_NAMES = (
    "server_key",
    "server_info",
    "recv_packet",
    "keep_alive",
    "peer_gone",
    "peer_present",
    "restarting",
)
CLIENT_STREAM = b"".join(VECTORS[name] for name in CLIENT_STREAM_NAMES)
PEER = VECTORS["peer_public"]


def read_all(reader: frames.FrameReader, *slices: bytes) -> list[frames.Frame]:
    return [frame for piece in slices for frame in reader.frames(piece)]


def read_into_space(reader: frames.FrameReader, data: bytes) -> list[frames.Frame]:
    """Put bytes where a socket would, as many as fit at a time."""
    found = []
    while data:
        space = reader.space()
        piece, data = data[: len(space)], data[len(space) :]
        space[: len(piece)] = piece
        reader.filled(len(piece))
        while (cut := reader.advance()) is not None:
            found.append(frames.Frame(cut[0], bytes(reader.view[cut[1] : cut[2]])))
    return found


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("keep_alive", frames.KEEP_ALIVE_FRAME),
        ("note_preferred", frames.note_preferred(True)),
        ("ping", frames.frame(frames.PING, b"pingping")),
        ("pong", frames.frame(frames.PONG, b"pingping")),
        ("send_packet", frames.send_packet(PEER, b"hi")),
        ("recv_packet", frames.recv_packet(VECTORS["client_public"], b"hi")),
        ("peer_gone", frames.peer_gone(PEER, frames.GONE_NOT_HERE)),
        ("peer_present", frames.peer_present(PEER, ("192.0.2.7", 4242), frames.PRESENT_REGULAR)),
        ("restarting", frames.restarting(1000, 5000)),
    ],
)
def test_each_frame_equals_its_vector(name: str, made: bytes) -> None:
    assert made == VECTORS[name]


@pytest.mark.statement(122)
def test_peer_gone_always_has_33_bytes_of_payload() -> None:
    gone = [frames.peer_gone(PEER, reason) for reason in (frames.GONE_DISCONNECTED, frames.GONE_NOT_HERE)]
    assert [len(frame) - frames.HEADER_SIZE for frame in gone] == [33, 33]
    assert [frame[-1] for frame in gone] == [0, 1]


def test_peer_present_of_an_ipv6_client_carries_its_16_bytes() -> None:
    made = frames.peer_present(PEER, ("2001:db8::1", 1), frames.PRESENT_MESH)
    assert made[37:53].hex() == "20010db8000000000000000000000001"


def test_peer_present_of_an_unknown_address_carries_zeros() -> None:
    assert frames.peer_present(PEER, ("", 0), 1)[37:53] == bytes(16)


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_a_stream_cut_anywhere_gives_the_same_frames(at: int) -> None:
    whole = read_all(frames.FrameReader(frames.SERVER_BOUNDS), STREAM)
    cut = read_all(frames.FrameReader(frames.SERVER_BOUNDS), STREAM[:at], STREAM[at:])
    assert cut == whole
    assert [frame.encode() for frame in cut] == [VECTORS[name] for name in STREAM_NAMES]


@pytest.mark.parametrize("size", range(1, 80))
def test_a_stream_in_slices_of_any_size_gives_the_same_frames(size: int) -> None:
    pieces = [CLIENT_STREAM[at : at + size] for at in range(0, len(CLIENT_STREAM), size)]
    found = read_all(frames.FrameReader(frames.CLIENT_BOUNDS), *pieces)
    assert [frame.encode() for frame in found] == [VECTORS[name] for name in CLIENT_STREAM_NAMES]


@pytest.mark.parametrize("size", range(1, 80))
def test_two_readers_that_share_a_scratch_buffer_do_not_mix(size: int) -> None:
    scratch = memoryview(bytearray(128))
    left = frames.FrameReader(frames.SERVER_BOUNDS, scratch=scratch)
    right = frames.FrameReader(frames.CLIENT_BOUNDS, scratch=scratch)
    seen: tuple[list[frames.Frame], list[frames.Frame]] = ([], [])
    for at in range(0, max(len(STREAM), len(CLIENT_STREAM)), size):
        seen[0].extend(read_into_space(left, STREAM[at : at + size]))
        seen[1].extend(read_into_space(right, CLIENT_STREAM[at : at + size]))
    assert b"".join(frame.encode() for frame in seen[0]) == STREAM
    assert b"".join(frame.encode() for frame in seen[1]) == CLIENT_STREAM


@given(st.lists(st.integers(0, frames.MAX_PACKET), max_size=4), st.integers(1, 200_000), st.booleans())
def test_large_packets_survive_any_slicing_by_both_ways_in(sizes: list[int], step: int, into_space: bool) -> None:
    sent = [frames.Frame(frames.SEND_PACKET, PEER + bytes(size)) for size in sizes]
    stream = b"".join(frame.encode() for frame in sent)
    reader = frames.FrameReader(frames.SERVER_BOUNDS)
    step = max(step, len(stream) // 50 + 1)
    pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
    take = read_into_space if into_space else read_all
    assert [frame for piece in pieces for frame in take(reader, piece)] == sent
    assert reader.buffered == 0


def test_unknown_types_are_skipped_without_being_kept() -> None:
    reader = frames.FrameReader(frames.SERVER_BOUNDS)
    unknown = frames.frame(0x77, bytes(frames.MAX_FRAME))
    assert read_all(reader, unknown[:100_000]) == []
    assert reader.buffered == 0
    assert [frame.kind for frame in read_all(reader, unknown[100_000:] + VECTORS["ping"])] == [frames.PING]


@pytest.mark.parametrize(
    "head",
    [
        frames.header(0x77, frames.MAX_FRAME + 1),
        frames.header(0x77, 0xFFFFFFFF),
        pytest.param(frames.header(frames.SEND_PACKET, 32 + frames.MAX_PACKET + 1), marks=pytest.mark.statement(125)),
        pytest.param(
            frames.header(frames.FORWARD_PACKET, 64 + frames.MAX_PACKET + 1), marks=pytest.mark.statement(125)
        ),
        frames.header(frames.SEND_PACKET, 31),
        frames.header(frames.NOTE_PREFERRED, 0),
        frames.header(frames.NOTE_PREFERRED, 2),
        frames.header(frames.WATCH_CONNS, 1),
        frames.header(frames.CLOSE_PEER, 33),
        frames.header(frames.PING, 7),
        frames.header(frames.PING, 1001),
    ],
)
def test_a_frame_out_of_bounds_is_refused_by_its_head_alone(head: bytes) -> None:
    reader = frames.FrameReader(frames.SERVER_BOUNDS)
    with pytest.raises(frames.FrameError):
        read_all(reader, head)


@pytest.mark.statement(125)
def test_a_packet_of_exactly_64_kib_is_taken() -> None:
    reader = frames.FrameReader(frames.SERVER_BOUNDS)
    (found,) = read_all(reader, frames.send_packet(PEER, bytes(frames.MAX_PACKET)))
    assert len(found.payload) == 32 + frames.MAX_PACKET


@pytest.mark.parametrize("kind", sorted(set(range(256)) - {frames.CLIENT_INFO}))
def test_before_the_login_only_client_info_is_taken(kind: int) -> None:
    reader = frames.FrameReader(frames.LOGIN_BOUNDS, strict=True)
    with pytest.raises(frames.FrameError):
        read_all(reader, frames.header(kind, 0))


def test_a_client_info_above_256_kib_is_refused_by_its_head() -> None:
    reader = frames.FrameReader(frames.LOGIN_BOUNDS, strict=True)
    with pytest.raises(frames.FrameError):
        read_all(reader, frames.header(frames.CLIENT_INFO, frames.MAX_CLIENT_INFO + 1))


@given(st.binary(max_size=400))
def test_any_bytes_are_cut_or_refused_and_never_kept_beyond_one_frame(data: bytes) -> None:
    reader = frames.FrameReader(frames.SERVER_BOUNDS)
    try:
        read_all(reader, data)
    except frames.FrameError as error:
        assert str(error)
    assert reader.buffered <= len(data)


def test_what_was_not_read_is_kept_while_the_reader_is_held() -> None:
    reader = frames.FrameReader(frames.SERVER_BOUNDS)
    reader.receive(VECTORS["ping"] + VECTORS["pong"] + VECTORS["send_packet"][:9])
    reader.advance()
    reader.hold()
    reader.receive(VECTORS["send_packet"][9:])
    reader.hold()
    assert [frame.encode() for frame in reader.frames(b"")] == [VECTORS["pong"], VECTORS["send_packet"]]


@pytest.mark.parametrize(
    ("packet", "disco"),
    [
        (frames.DISCO_MAGIC + bytes(56), True),
        (frames.DISCO_MAGIC + bytes(55), False),
        (bytes(200), False),
        (b"", False),
    ],
)
def test_discovery_packets_are_told_by_magic_and_length(packet: bytes, disco: bool) -> None:
    assert frames.is_disco(packet) is disco
    assert frames.is_disco(memoryview(packet)) is disco
