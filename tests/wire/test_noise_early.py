"""The early payload behind the handshake, and how a client tells it from HTTP/2."""

import pytest

from gateway.noise import MalformedMessageError, decode_early, encode_early
from services.shared.keys import ChallengeKey
from tests.wire.noise_vector import V


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
