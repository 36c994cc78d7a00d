"""Tunnels to an edge on a real socket, whole or only as far as the handshake."""

import os

import pytest

from gateway.noise import Initiator, NoiseSession
from services.shared.keys import PrivateKey
from tests.fakes.dialling import SocketStream, dial_upgrade, read_frame
from tests.fakes.edge import Edge
from tests.fakes.noise_client import NoiseClient

MACHINE = PrivateKey.clamp(b"\x22" * 32)
BOTH = pytest.mark.parametrize("websocket", [False, True], ids=["upgrade", "websocket"])


async def connect(edge: Edge, **options) -> NoiseClient:
    return await NoiseClient.connect(edge.url, MACHINE, control_key=edge.control_key, **options)


async def handshake(edge: Edge, machine: PrivateKey = MACHINE) -> tuple[SocketStream, NoiseSession, bytes]:
    """Only Noise: the caller says everything else."""
    initiator = Initiator(machine, edge.control_key, PrivateKey.clamp(os.urandom(32)), 113)
    stream = await dial_upgrade(edge.url, initiator.initiation)
    response, left = await read_frame(stream)
    return stream, initiator.finish(response), left
