"""The vector of the Noise layer, its keys, and both ends of its handshake."""

import json
from pathlib import Path

from gateway.noise import ControlKey, Initiator
from services.shared.keys import MachineKey, PrivateKey

TEXT = json.loads((Path(__file__).parent / "vectors" / "noise.json").read_text())
V = {name: bytes.fromhex(text) for name, text in TEXT.items() if name not in {"version", "header"}}
VERSION: int = TEXT["version"]
CONTROL = ControlKey(PrivateKey(V["control_private"]))
CONTROL_EPHEMERAL = PrivateKey(V["control_ephemeral_private"])


def initiator() -> Initiator:
    """The client of the vector."""
    return Initiator(
        PrivateKey(V["machine_private"]),
        MachineKey(V["control_public"]),
        PrivateKey(V["machine_ephemeral_private"]),
        VERSION,
    )


def flipped(data: bytes, index: int) -> bytes:
    """One bit of one byte is another."""
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]
