"""The map that logs out a device without a node, and what it says to the person there."""

from __future__ import annotations

import pytest

from gateway.machine.logout_map import logout_map
from gateway.machine.session import MapSessionRequest
from services.shared.keys import MachineKey, NodeKey
from tests.fakes.netmap import unpack

KEYS = MachineKey(b"\1" * 32), NodeKey(b"\2" * 32)


def message(version: int, *, zstd: bool, contact: str = "") -> str:
    return unpack(logout_map(MapSessionRequest(*KEYS, version, zstd, False), contact), zstd=zstd).decode()


@pytest.mark.parametrize("zstd", [True, False])
@pytest.mark.parametrize(
    ("version", "member", "other"), [(116, "Health", "DisplayMessages"), (117, "DisplayMessages", "Health")]
)
def test_the_reason_and_whom_to_ask_are_in_the_form_that_the_client_reads(
    version: int, member: str, other: str, zstd: bool
) -> None:
    text = message(version, zstd=zstd, contact="it@example.net")
    assert f'"{member}":' in text
    assert f'"{other}":' not in text
    assert "tailscale up. In doubt ask it@example.net." in text


def test_without_a_contact_the_administrator_is_to_be_asked() -> None:
    assert "ask the administrator." in message(130, zstd=False)
