"""The Noise layer against fixed vectors, and against everything that is almost one of them."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.noise import (
    AuthenticationError,
    ControlKey,
    Initiation,
    Initiator,
    MalformedMessageError,
    NoiseError,
    RecordReader,
    RecordSealer,
    RemoteNoiseError,
    decode_early,
    encode_early,
    error_frame,
    parse_error_frame,
    respond,
)
from gateway.noise.handshake import prologue
from gateway.noise.symmetric import SymmetricState, shared_secret
from services.shared.keys import ChallengeKey, MachineKey, PrivateKey

_TEXT = json.loads((Path(__file__).parent / "vectors" / "noise.json").read_text())
V = {name: bytes.fromhex(text) for name, text in _TEXT.items() if name not in {"version", "header"}}
VERSION: int = _TEXT["version"]

CONTROL = ControlKey(PrivateKey(V["control_private"]))
CONTROL_EPHEMERAL = PrivateKey(V["control_ephemeral_private"])
LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (325606250916557431795983626356110631294008115727848805560023387167927233504).to_bytes(32, "little"),
    (39382357235489614581723060781553021112529911719440698176882885853963445705823).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]


def initiator() -> Initiator:
    return Initiator(
        PrivateKey(V["machine_private"]),
        MachineKey(V["control_public"]),
        PrivateKey(V["machine_ephemeral_private"]),
        VERSION,
    )


def flipped(data: bytes, index: int) -> bytes:
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


@pytest.mark.statement(16, 18)
def test_every_step_of_the_handshake_has_the_hash_the_chaining_key_and_the_secret_of_the_vector():
    private = X25519PrivateKey.from_private_bytes
    state = SymmetricState()
    assert state.h == state.ck == V["h0"]
    assert prologue(VERSION) == V["prologue"]
    state.mix(prologue(VERSION))
    assert state.h == V["h_prologue"]
    state.mix(V["control_public"])
    assert state.h == V["h_control"]
    state.mix(V["machine_ephemeral_public"])
    assert state.h == V["h_client_ephemeral"]

    es = shared_secret(private(V["machine_ephemeral_private"]), V["control_public"])
    assert es == CONTROL.exchange(V["machine_ephemeral_public"]) == V["es"]
    key = state.mix_key(es)
    assert (state.ck, key) == (V["ck_es"], V["k_es"])
    assert state.seal(key, V["machine_public"]) == V["sealed_machine_key"]
    assert state.h == V["h_sealed_machine_key"]

    ss = CONTROL.exchange(V["machine_public"])
    assert ss == V["ss"]
    key = state.mix_key(ss)
    assert (state.ck, key) == (V["ck_ss"], V["k_ss"])
    assert state.seal(key, b"") == V["initiation_tag"]
    assert state.h == V["h_initiation_tag"]

    state.mix(V["control_ephemeral_public"])
    assert state.h == V["h_server_ephemeral"]
    ee = shared_secret(private(V["control_ephemeral_private"]), V["machine_ephemeral_public"])
    assert ee == V["ee"]
    state.mix_key(ee)
    assert state.ck == V["ck_ee"]
    se = shared_secret(private(V["control_ephemeral_private"]), V["machine_public"])
    assert se == V["se"]
    key = state.mix_key(se)
    assert (state.ck, key) == (V["ck_se"], V["k_se"])
    assert state.seal(key, b"") == V["response_tag"]
    assert state.h == V["handshake_hash"]
    assert state.split() == (V["key_to_server"], V["key_to_client"])


@pytest.mark.statement(18, 20)
def test_the_server_answers_the_vector_byte_for_byte():
    response, session = respond(CONTROL, V["initiation"], CONTROL_EPHEMERAL)

    assert CONTROL.public.raw == V["control_public"]
    assert response == V["response"]
    assert len(response) == 51
    assert response.startswith(bytes.fromhex("020030"))
    assert session.version == VERSION
    assert session.machine_key == MachineKey(V["machine_public"])
    assert session.handshake_hash == V["handshake_hash"]


@pytest.mark.statement(8, 18)
def test_the_client_makes_the_initiation_of_the_vector_and_takes_its_response():
    client = initiator()

    assert client.initiation == V["initiation"]
    assert base64.b64encode(client.initiation).decode() == _TEXT["header"]
    assert client.finish(V["response"]).handshake_hash == V["handshake_hash"]


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


@pytest.mark.statement(16, 18, 19)
@pytest.mark.parametrize("index", range(101))
def test_an_initiation_with_any_byte_altered_is_refused(index):
    with pytest.raises(NoiseError):
        respond(CONTROL, flipped(V["initiation"], index), CONTROL_EPHEMERAL)


@pytest.mark.statement(17)
@pytest.mark.parametrize("index", [2, 3, 4])
def test_a_wrong_type_or_length_of_the_initiation_is_worth_an_error_frame(index):
    with pytest.raises(MalformedMessageError):
        respond(CONTROL, flipped(V["initiation"], index), CONTROL_EPHEMERAL)


@pytest.mark.statement(19)
@pytest.mark.parametrize("index", [0, 1, 5, 36, 37, 84, 85, 100])
def test_an_initiation_that_does_not_decrypt_is_no_malformed_message(index):
    with pytest.raises(AuthenticationError):
        respond(CONTROL, flipped(V["initiation"], index), CONTROL_EPHEMERAL)


@pytest.mark.statement(17)
@pytest.mark.parametrize("size", [0, 1, 3, 51, 100, 102, 4096])
def test_an_initiation_of_another_size_is_refused(size):
    with pytest.raises(MalformedMessageError):
        respond(CONTROL, (V["initiation"] * 41)[:size], CONTROL_EPHEMERAL)


@pytest.mark.statement(25)
@pytest.mark.parametrize("version", [0, 1, 113, 145, 999, 65535])
def test_any_version_is_accepted_by_the_handshake_itself(version):
    client = Initiator(
        PrivateKey(V["machine_private"]), CONTROL.public, PrivateKey(V["machine_ephemeral_private"]), version
    )

    response, session = respond(CONTROL, client.initiation, CONTROL_EPHEMERAL)

    assert session.version == version
    assert client.finish(response).handshake_hash == session.handshake_hash


@pytest.mark.parametrize("point", LOW_ORDER)
def test_an_ephemeral_key_of_low_order_is_refused(point):
    message = V["initiation"][:5] + point + V["initiation"][37:]

    with pytest.raises(AuthenticationError):
        respond(CONTROL, message, CONTROL_EPHEMERAL)


@pytest.mark.parametrize("point", LOW_ORDER)
def test_a_machine_key_of_low_order_is_refused_even_when_it_is_sealed_correctly(point):
    state = SymmetricState()
    state.mix(prologue(VERSION))
    state.mix(V["control_public"])
    state.mix(V["machine_ephemeral_public"])
    sealed = state.seal(state.mix_key(V["es"]), point)
    tag = state.seal(state.mix_key(bytes(32)), b"")

    with pytest.raises(AuthenticationError):
        respond(CONTROL, Initiation(VERSION, V["machine_ephemeral_public"], sealed, tag).encode(), CONTROL_EPHEMERAL)


def test_a_client_of_another_control_key_is_refused():
    other = ControlKey(PrivateKey.clamp(bytes(32)))
    with pytest.raises(AuthenticationError):
        respond(other, V["initiation"], CONTROL_EPHEMERAL)


@pytest.mark.parametrize("index", range(51))
def test_a_response_with_any_byte_altered_is_refused_by_the_client(index):
    with pytest.raises(NoiseError):
        initiator().finish(flipped(V["response"], index))


def test_the_client_reads_the_text_of_an_error_frame():
    with pytest.raises(RemoteNoiseError) as refused:
        initiator().finish(error_frame("no"))

    assert refused.value.unverified_text == "no"


def test_an_error_frame_has_type_3_and_a_bounded_text():
    assert error_frame("no") == b"\x03\x00\x02no"
    assert len(error_frame("x" * 70000)) == 4096
    assert parse_error_frame(error_frame("why")) == "why"


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


def test_only_a_sealer_that_stays_busy_keeps_its_cipher_and_that_alters_no_byte():
    sealer, reader = RecordSealer(V["key_to_client"]), RecordReader(V["key_to_client"])
    kept, let_go = [], []
    for records in (40, 0, 1, 2, 9, 5, 1, 1, 0):
        for number in range(records):
            assert reader.receive(sealer.seal(b"%d" % number)) == b"%d" % number
        let_go.append(sealer.look())
        kept.append(sealer._cipher is not None)

    assert kept == [False, False, False, False, True, True, False, False, False]
    assert let_go == [False, False, False, False, False, False, True, False, False]


@pytest.mark.statement(26)
def test_the_early_payload_is_that_of_the_vector_and_small_enough_for_every_client():
    payload = encode_early(ChallengeKey(b"\xab" * 32))

    assert payload == V["early_payload"]
    assert int.from_bytes(payload[5:9], "big") <= 1024
    assert decode_early(payload) == (ChallengeKey(b"\xab" * 32), len(payload))


def test_an_early_payload_is_told_from_http2_at_every_split():
    payload = encode_early(ChallengeKey(b"\x01" * 32))
    assert all(decode_early(payload[:split]) is None for split in range(len(payload)))
    assert decode_early(payload + b"\x00") == (ChallengeKey(b"\x01" * 32), len(payload))
    assert decode_early(bytes(9)) == (None, 0)


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"nodeKeyChallenge":1}', b'{"nodeKeyChallenge":"nodekey:00"}'])
def test_a_broken_early_payload_is_refused_by_the_client(body):
    with pytest.raises(MalformedMessageError):
        decode_early(b"\xff\xff\xffTS" + len(body).to_bytes(4, "big") + body)


def test_an_early_payload_above_1024_bytes_is_refused_by_the_client():
    with pytest.raises(MalformedMessageError):
        decode_early(b"\xff\xff\xffTS" + (1025).to_bytes(4, "big"))


class Cipher:
    """A sealer that makes one record of whatever it is given, also of nothing."""

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self._nonce = 0

    def record(self, plain: bytes) -> bytes:
        sealed = self._cipher.encrypt(bytes(4) + self._nonce.to_bytes(8, "big"), plain, None)
        self._nonce += 1
        return b"\x04" + len(sealed).to_bytes(2, "big") + sealed
