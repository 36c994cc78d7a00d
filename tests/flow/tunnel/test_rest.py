"""What a quiet tunnel gives up until it is needed again."""

import pytest

from gateway.edge import tunnels
from tests.fakes.edge import serve_edge
from tests.flow.tunnel.opening import connect

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


async def test_tunnels_let_their_ciphers_rest_and_memory_is_given_back_when_many_do(monkeypatch):
    monkeypatch.setattr(tunnels, "_MANY_CIPHERS", 1)
    given_back = []
    monkeypatch.setattr(tunnels, "give_back", lambda: given_back.append(1))
    async with serve_edge() as edge, await connect(edge) as client:
        (tunnel,) = edge.tunnels._tunnels
        for _ in range(2):
            assert [(await client.request("POST", "/echo", b"busy"))[2] for _ in range(2)] == [b"busy"] * 2
            edge.tunnels._drop_idle_ciphers()
        assert tunnel.session.sealer._cipher is not None and not given_back
        edge.tunnels._drop_idle_ciphers()
        assert tunnel.session.sealer._cipher is None and given_back
        assert (await client.request("POST", "/echo", b"again"))[2] == b"again"
