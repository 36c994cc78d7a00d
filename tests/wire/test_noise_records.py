"""Noise records against fixed vectors: split, joined, altered, replayed, out of order."""

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.noise import AuthenticationError, MalformedMessageError, NoiseError, RecordReader, RecordSealer, respond
from tests.wire.noise_vector import CONTROL, CONTROL_EPHEMERAL, V, flipped, initiator


@pytest.mark.statement(18, 21, 26)
def test_records_0_and_1_of_both_directions_are_those_of_the_vector():
    _, server = respond(CONTROL, V["initiation"], CONTROL_EPHEMERAL)
    client = initiator().finish(V["response"])

    assert server.sealer.seal(V["early_payload"]) == V["to_client_0"]
    assert server.sealer.seal(V["to_client_1_plain"]) == V["to_client_1"]
    assert client.sealer.seal(V["to_server_0_plain"]) == V["to_server_0"]
    assert client.sealer.seal(V["to_server_1_plain"]) == V["to_server_1"]
    assert client.reader.receive(V["to_client_0"] + V["to_client_1"]) == V["early_payload"] + V["to_client_1_plain"]
    assert server.reader.receive(V["to_server_0"]) == V["to_server_0_plain"]
    assert server.reader.receive(V["to_server_1"]) == V["to_server_1_plain"]


@pytest.mark.statement(18, 22)
def test_5000_bytes_leave_as_two_frames_of_the_vector():
    sealer = RecordSealer(V["key_to_client"])
    sealer.seal(V["early_payload"])
    sealer.seal(V["to_client_1_plain"])

    frames = sealer.seal(bytes(5000))

    assert len(frames) == 4096 + 942
    assert frames[:3] == bytes.fromhex("040ffd")
    assert frames[4096:4099] == bytes.fromhex("0403ab")
    assert hashlib.sha256(frames).digest() == V["zeros_5000_sha256"]


def test_many_buffers_are_sealed_as_if_they_were_joined():
    buffers = [b"a" * 10, b"", bytearray(b"b" * 9000), memoryview(b"c" * 4077), b"d", b"e" * 4067]

    frames = RecordSealer(V["key_to_client"]).seal(buffers)

    assert frames == RecordSealer(V["key_to_client"]).seal(b"".join(buffers))
    assert RecordReader(V["key_to_client"]).receive(frames) == b"".join(buffers)


@pytest.mark.parametrize("size", [0, 1, 4076, 4077, 4078, 8154, 8155])
def test_nothing_ever_leaves_in_a_frame_above_4096_bytes(size):
    frames = RecordSealer(V["key_to_client"]).seal(bytes(size))

    sizes = []
    while frames:
        sizes.append(3 + int.from_bytes(frames[1:3], "big"))
        frames = frames[sizes[-1] :]
    assert all(total <= 4096 for total in sizes)
    assert sum(total - 19 for total in sizes) == size


def test_a_stream_of_records_split_at_every_byte_gives_the_same_plaintext():
    plain = [b"one", b"t" * 300, b"three"]
    sealer = RecordSealer(V["key_to_server"])
    stream = b"".join(sealer.seal(text) for text in plain)
    for split in range(len(stream) + 1):
        reader = RecordReader(V["key_to_server"])
        assert reader.receive(stream[:split]) + reader.receive(stream[split:]) == b"".join(plain)


def test_records_that_arrive_byte_by_byte_give_the_same_plaintext():
    stream = RecordSealer(V["key_to_server"]).seal(b"x" * 5000)
    reader = RecordReader(V["key_to_server"])

    assert b"".join(reader.receive(bytes([byte])) for byte in stream) == b"x" * 5000


@pytest.mark.statement(23)
@pytest.mark.parametrize("size", [0, 1, 4076, 4077])
def test_a_record_of_any_size_up_to_4096_is_accepted(size):
    sealed = Cipher(V["key_to_server"]).record(bytes(size))

    assert RecordReader(V["key_to_server"]).receive(sealed) == bytes(size)


@pytest.mark.statement(23)
def test_records_without_plaintext_are_skipped_but_counted():
    cipher = Cipher(V["key_to_server"])
    reader = RecordReader(V["key_to_server"])

    stream = cipher.record(b"") + cipher.record(b"after") + cipher.record(b"")

    assert reader.receive(stream) == b"after"


@pytest.mark.statement(24)
@pytest.mark.parametrize("index", range(40))
def test_a_record_with_any_byte_altered_ends_the_connection(index):
    cipher = Cipher(V["key_to_server"])
    first, second = cipher.record(bytes(40 - 19)), cipher.record(b"next")
    reader = RecordReader(V["key_to_server"])

    with pytest.raises(NoiseError):
        reader.receive(flipped(first, index) + bytes(4096))
    with pytest.raises(NoiseError):
        reader.receive(second)


@pytest.mark.statement(24)
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 5, 255])
def test_a_frame_of_another_type_ends_the_connection_at_its_first_byte(kind):
    with pytest.raises(MalformedMessageError):
        RecordReader(V["key_to_server"]).receive(bytes([kind]))


@pytest.mark.statement(23, 24)
def test_a_frame_of_4097_bytes_is_refused_when_its_header_is_there():
    with pytest.raises(MalformedMessageError):
        RecordReader(V["key_to_server"]).receive(bytes([4]) + (4094).to_bytes(2, "big"))


@pytest.mark.parametrize("length", [0, 1, 15])
def test_a_record_too_short_for_its_tag_is_refused(length):
    with pytest.raises(MalformedMessageError):
        RecordReader(V["key_to_server"]).receive(bytes([4]) + length.to_bytes(2, "big"))


@pytest.mark.statement(21, 24)
def test_a_replayed_record_is_refused():
    record = Cipher(V["key_to_server"]).record(b"once")
    reader = RecordReader(V["key_to_server"])
    assert reader.receive(record) == b"once"

    with pytest.raises(AuthenticationError):
        reader.receive(record)


@pytest.mark.statement(21, 24)
def test_records_out_of_order_are_refused():
    cipher = Cipher(V["key_to_server"])
    first, second = cipher.record(b"1"), cipher.record(b"2")

    with pytest.raises(AuthenticationError):
        RecordReader(V["key_to_server"]).receive(second + first)


def test_a_record_of_the_other_direction_is_refused():
    with pytest.raises(AuthenticationError):
        RecordReader(V["key_to_server"]).receive(RecordSealer(V["key_to_client"]).seal(b"mirror"))


def test_the_last_counter_is_never_used():
    sealer, reader = RecordSealer(V["key_to_client"]), RecordReader(V["key_to_client"])
    sealer._nonce = reader._nonce = 2**64 - 2
    assert reader.receive(sealer.seal(b"last")) == b"last"

    with pytest.raises(NoiseError):
        sealer.seal(b"one too many")
    with pytest.raises(NoiseError):
        sealer.seal(b"")
    with pytest.raises(NoiseError):
        reader.receive(Cipher(V["key_to_client"]).record(b"x"))


class Cipher:
    """A sealer that makes one record of whatever it is given, also of nothing."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._nonce = 0

    def record(self, plain: bytes) -> bytes:
        sealed = self._cipher.encrypt(bytes(4) + self._nonce.to_bytes(8, "big"), plain, None)
        self._nonce += 1
        return b"\x04" + len(sealed).to_bytes(2, "big") + sealed


def test_only_a_sealer_that_stays_busy_keeps_its_cipher_and_that_alters_no_byte():
    sealer, reader = RecordSealer(V["key_to_client"]), RecordReader(V["key_to_client"])
    kept, let_go = [], []
    for records in (40, 0, 1, 2, 9, 5, 1, 1, 0):
        for number in range(records):
            assert reader.receive(sealer.seal(b"%d" % number)) == b"%d" % number
        let_go.append(sealer.drop_idle_cipher())
        kept.append(sealer._cipher is not None)

    assert kept == [False, False, False, False, True, True, False, False, False]
    assert let_go == [False, False, False, False, False, False, True, False, False]
