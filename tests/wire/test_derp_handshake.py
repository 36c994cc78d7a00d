"""The DERP login: vectors, tampering with every bit, and every spelling of the JSON."""

from __future__ import annotations

import orjson
import pytest
from nacl.public import Box
from nacl.public import PrivateKey as NaclPrivate
from nacl.public import PublicKey as NaclPublic

from services.derp import frames, handshake
from services.shared.keys import NodeKey, PrivateKey
from tests.fakes.derp import VECTORS

SERVER = PrivateKey(VECTORS["server_private"])
SERVER_PUBLIC = NodeKey(VECTORS["server_public"])
CLIENT = PrivateKey(VECTORS["client_private"])
CLIENT_PUBLIC = NodeKey(VECTORS["client_public"])
PAYLOAD = VECTORS["client_info"][5:]
MESH = bytes(range(32))


def sealed(text: bytes) -> bytes:
    """A ClientInfo payload around any bytes."""
    box = Box(NaclPrivate(CLIENT.raw), NaclPublic(SERVER_PUBLIC.raw))
    return CLIENT_PUBLIC.raw + bytes(box.encrypt(text, bytes(24)))


def test_public_halves_equal_the_vectors() -> None:
    assert handshake.public_key(SERVER) == SERVER_PUBLIC
    assert handshake.public_key(CLIENT) == CLIENT_PUBLIC


@pytest.mark.statement(118)
def test_the_first_frame_is_the_server_key_with_its_magic() -> None:
    assert handshake.encode_server_key(SERVER_PUBLIC) == VECTORS["server_key"]
    assert handshake.decode_server_key(VECTORS["server_key"][5:]) == SERVER_PUBLIC


@pytest.mark.statement(118)
def test_the_server_info_equals_its_vector_and_opens() -> None:
    made = handshake.encode_server_info(SERVER, CLIENT_PUBLIC, bytes(range(0x18, 0x30)))
    assert made == VECTORS["server_info"]
    assert handshake.open_server_info(made[5:], CLIENT, SERVER_PUBLIC) == 2


def test_the_client_info_of_the_vector_opens() -> None:
    key, info = handshake.open_client_info(PAYLOAD, SERVER)
    assert key == CLIENT_PUBLIC
    assert info == handshake.ClientInfo(version=2, can_ack_pings=True)


def test_the_client_info_that_we_write_equals_the_vector() -> None:
    info = handshake.ClientInfo(can_ack_pings=True)
    assert handshake.encode_client_info(info, CLIENT, SERVER_PUBLIC, bytes(range(24))) == VECTORS["client_info"]


@pytest.mark.parametrize("bit", range(len(PAYLOAD) * 8))
def test_a_client_info_with_any_bit_flipped_is_refused(bit: int) -> None:
    forged = bytearray(PAYLOAD)
    forged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(handshake.LoginError):
        handshake.open_client_info(bytes(forged), SERVER)


@pytest.mark.parametrize("size", range(len(PAYLOAD)))
def test_a_client_info_cut_short_is_refused(size: int) -> None:
    with pytest.raises(handshake.LoginError):
        handshake.open_client_info(PAYLOAD[:size], SERVER)


LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
]


@pytest.mark.parametrize("key", LOW_ORDER)
def test_a_key_of_low_order_is_refused(key: bytes) -> None:
    with pytest.raises(handshake.LoginError):
        handshake.open_client_info(key + PAYLOAD[32:], SERVER)


@pytest.mark.statement(119)
@pytest.mark.parametrize(
    ("text", "info"),
    [
        (b'{"version":2,"CanAckPings":true}', handshake.ClientInfo(2, True)),
        (b'{"can_ack_pings":true,"is_prober":true,"mesh_key":"","version":2}', handshake.ClientInfo(2, True, True)),
        (b'{"VERSION":2,"canackpings":true,"isProber":true}', handshake.ClientInfo(2, True, True)),
        (b'{"Version":3,"New":{"a":[1]},"AppName":"x"}', handshake.ClientInfo(3)),
        (b"{}", handshake.ClientInfo(0)),
        (b'{"version":"2","CanAckPings":1,"IsProber":null}', handshake.ClientInfo(0)),
        (b'{"version":true}', handshake.ClientInfo(0)),
        (b'{"version":2,"meshKey":"%s"}' % MESH.hex().encode(), handshake.ClientInfo(2, mesh_key=MESH)),
        (b'{"version":2,"mesh_key":"%s"}' % MESH.hex().upper().encode(), handshake.ClientInfo(2, mesh_key=MESH)),
        (b'{"version":2,"meshKey":"00"}', handshake.ClientInfo(2)),
        (b'{"version":2,"meshKey":7}', handshake.ClientInfo(2)),
    ],
)
def test_client_info_is_read_in_every_spelling(text: bytes, info: handshake.ClientInfo) -> None:
    assert handshake.open_client_info(sealed(text), SERVER) == (CLIENT_PUBLIC, info)


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b'"x"', b"{", b"\xff", b"[" * 5000, b'{"version":2}x', b"7"])
def test_a_login_that_holds_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(handshake.LoginError):
        handshake.open_client_info(sealed(text), SERVER)


def test_errors_repeat_nothing_that_the_client_sent() -> None:
    with pytest.raises(handshake.LoginError) as caught:
        handshake.open_client_info(sealed(b"secret-words"), SERVER)
    assert "secret" not in str(caught.value)


def test_a_mesh_key_is_never_printed() -> None:
    assert MESH.hex() not in repr(handshake.ClientInfo(mesh_key=MESH))
    assert repr(MESH) not in repr(handshake.ClientInfo(mesh_key=MESH))


@pytest.mark.parametrize(
    ("offered", "ours", "equal"),
    [(MESH, MESH, True), (MESH, None, False), (None, None, False), (None, MESH, False), (bytes(32), MESH, False)],
)
def test_only_the_same_mesh_key_makes_a_mesh_peer(offered: bytes | None, ours: bytes | None, equal: bool) -> None:
    assert handshake.mesh_key_matches(offered, ours) is equal


def test_a_mesh_peer_login_opens_with_its_key() -> None:
    frame = handshake.encode_client_info(handshake.ClientInfo(mesh_key=MESH), CLIENT, SERVER_PUBLIC, bytes(24))
    assert handshake.open_client_info(frame[frames.HEADER_SIZE :], SERVER)[1].mesh_key == MESH


@pytest.mark.parametrize("payload", [b"", b"DERP", bytes(40), VECTORS["server_key"][5:-1]])
def test_a_server_key_of_another_form_is_refused(payload: bytes) -> None:
    with pytest.raises(handshake.LoginError):
        handshake.decode_server_key(payload)


def test_the_server_info_says_the_version_only() -> None:
    opened = Box(NaclPrivate(CLIENT.raw), NaclPublic(SERVER_PUBLIC.raw)).decrypt(VECTORS["server_info"][5:])
    assert orjson.loads(opened) == {"version": 2}
