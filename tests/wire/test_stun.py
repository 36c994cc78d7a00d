"""STUN: the vectors, every bit flipped, and what a foreign client gets."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.derp import stun
from services.derp.datagram import packed
from tests.fakes.derp import VECTORS

REQUEST = VECTORS["stun_request"]
TRANSACTION = bytes(range(1, 13))
HERE = packed("192.0.2.1")


def with_fingerprint(head: bytes) -> bytes:
    return head + struct.pack(">HHI", 0x8028, 4, zlib.crc32(head) ^ 0x5354554E)


def request_with(attributes: bytes) -> bytes:
    head = b"\x00\x01" + struct.pack(">H", len(attributes) + 8) + stun.COOKIE + TRANSACTION
    return with_fingerprint(head + attributes)


SOFTWARE = b"\x80\x22\x00\x08tailnode"


@pytest.mark.statement(127)
@pytest.mark.parametrize(
    ("host", "vector"),
    [("192.0.2.1", "stun_answer_v4"), ("2001:db8::1", "stun_answer_v6"), ("::ffff:192.0.2.1", "stun_answer_v4")],
)
def test_the_request_of_a_client_gets_the_answer_of_the_vector(host: str, vector: str) -> None:
    assert stun.answer(REQUEST, packed(host), 32853) == VECTORS[vector]


def test_a_zone_of_an_ipv6_address_is_left_out() -> None:
    assert stun.answer(REQUEST, packed("2001:db8::1%3"), 32853) == VECTORS["stun_answer_v6"]


def test_the_request_that_we_write_equals_the_vector() -> None:
    assert stun.write_request(TRANSACTION) == REQUEST


@pytest.mark.parametrize("bit", range(len(REQUEST) * 8))
def test_a_request_with_any_bit_flipped_gets_no_answer(bit: int) -> None:
    forged = bytearray(REQUEST)
    forged[bit // 8] ^= 1 << bit % 8
    assert stun.answer(bytes(forged), HERE, 1) is None


@pytest.mark.parametrize("size", range(len(REQUEST)))
def test_a_request_cut_short_gets_no_answer(size: int) -> None:
    assert stun.answer(REQUEST[:size], HERE, 1) is None


@pytest.mark.parametrize(
    "attributes",
    [
        b"",
        b"\x80\x22\x00\x08tailnod_",
        b"\x80\x22\x00\x09tailnodes\0\0\0",
        b"\x80\x22\xff\xfftailnode",
        b"\x80\x22\x00\x08tailno",
        SOFTWARE + b"\x00",
    ],
)
def test_requests_of_other_software_get_no_answer(attributes: bytes) -> None:
    assert stun.answer(request_with(attributes), HERE, 1) is None


def test_other_attributes_before_the_fingerprint_do_no_harm() -> None:
    assert stun.read_request(request_with(b"\x80\x99\x00\x03abc\0" + SOFTWARE)) == TRANSACTION


def test_a_fingerprint_that_is_not_last_is_refused() -> None:
    inner = with_fingerprint(b"\x00\x01\x00\x1c" + stun.COOKIE + TRANSACTION + SOFTWARE)
    assert stun.read_request(with_fingerprint(inner)) is None


def test_a_binding_request_of_a_general_client_gets_no_answer() -> None:
    assert stun.answer(b"\x00\x01\x00\x00" + stun.COOKIE + TRANSACTION, HERE, 1) is None


@given(st.binary(max_size=2000))
def test_any_bytes_get_silence(data: bytes) -> None:
    assert stun.answer(data, HERE, 1) is None
