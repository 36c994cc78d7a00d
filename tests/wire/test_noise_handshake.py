"""The Noise handshake against a fixed vector, and against everything that is almost one of its messages."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.noise import (
    AuthenticationError,
    ControlKey,
    Initiation,
    Initiator,
    MalformedMessageError,
    NoiseError,
    RemoteNoiseError,
    error_frame,
    parse_error_frame,
    respond,
)
from gateway.noise.handshake import prologue
from gateway.noise.symmetric import SymmetricState, shared_secret
from services.shared.keys import MachineKey, PrivateKey
from tests.wire.noise_vector import CONTROL, CONTROL_EPHEMERAL, TEXT, VERSION, V, flipped, initiator

LOW_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    (325606250916557431795983626356110631294008115727848805560023387167927233504).to_bytes(32, "little"),
    (39382357235489614581723060781553021112529911719440698176882885853963445705823).to_bytes(32, "little"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
]


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
    assert base64.b64encode(client.initiation).decode() == TEXT["header"]
    assert client.finish(V["response"]).handshake_hash == V["handshake_hash"]


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
