"""The tunnel over real sockets: requests, streams, slow readers, the end of either side."""


import pytest

from services.shared.keys import MachineKey, PrivateKey
from tests.fakes.edge import Edge, serve_edge
from tests.fakes.noise_client import NoiseClient

MACHINE = PrivateKey.clamp(b"\x22" * 32)
BOTH = pytest.mark.parametrize("websocket", [False, True], ids=["upgrade", "websocket"])


async def connect(edge: Edge, **options) -> NoiseClient:
    return await NoiseClient.connect(edge.url, MACHINE, control_key=edge.control_key, **options)


@BOTH
@pytest.mark.statement(6, 7, 11, 20, 29)
async def test_a_request_walks_through_the_tunnel_and_back(websocket):
    async with serve_edge() as edge, await connect(edge, version=130, websocket=websocket) as client:
        status, headers, body = await client.request("POST", "/echo?a=b", b'{"x":1}', [("ts-lb", "n")])

        assert (status, body) == (200, b'{"x":1}')
        assert headers == {"content-type": "application/json", "content-length": "7"}
        [request] = edge.handler.requests
        assert (request.method, request.path, request.query, request.body) == ("POST", "/echo", "a=b", b'{"x":1}')
        assert request.capability_version == 130
        assert isinstance(request.machine_key, MachineKey)
        assert request.header("ts-lb") == "n"
        assert request.remote_address == "127.0.0.1"
