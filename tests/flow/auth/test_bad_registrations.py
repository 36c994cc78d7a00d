"""Registrations that cannot be meant."""

from __future__ import annotations

import logging

import grpc
import pytest

from services.shared.rpc import with_machine_key
from tests.fakes.auth import AuthTailnet


class TestBadInput:
    @pytest.mark.parametrize(
        "fields",
        [
            {"node_key": b""},
            {"node_key": bytes(31)},
            {"node_key": bytes(32)},
            {"old_node_key": bytes(5)},
            {"hostinfo": b"{"},
            {"hostinfo": b"[]"},
            {"hostinfo": b"[" * 60_000},
            {"hostinfo": b'{"RequestTags":"tag:a"}'},
            {"hostinfo": b'{"RequestTags":[1]}'},
            {"hostinfo": b'"' + b"x" * (1 << 20) + b'"'},
        ],
        ids=lambda fields: f"{next(iter(fields))}-{len(next(iter(fields.values())))}",
    )
    async def test_what_no_client_sends_is_refused(
        self, tailnet: AuthTailnet, fields: dict[str, bytes], caplog: pytest.LogCaptureFixture
    ) -> None:
        try:
            answer = await tailnet.client().register(**fields)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        else:
            assert answer.refused
        assert not tailnet.registry.nodes
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    async def test_an_instant_out_of_range_is_refused(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        request = client.request()
        request.expiry.seconds = 1 << 60
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await tailnet.stub.Register(request, metadata=with_machine_key(client.machine))
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    async def test_a_call_without_machine_key_is_refused(self, tailnet: AuthTailnet) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await tailnet.stub.Register(tailnet.client().request())
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
