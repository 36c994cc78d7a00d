"""An administration call whose service does not answer in time says whose limit that was."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest

from cli.link.refusals import command_error
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from services.shared.rpc.caller import DIRECT, Caller
from services.shared.scopes import ALL


def failing(code: grpc.StatusCode, text: str = "") -> Any:
    """A call that fails with a status."""

    async def method(_request: object, **_options: object) -> object:
        raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), text)

    return method


async def test_the_server_names_its_own_limit_and_the_command_prints_it() -> None:
    call = CallContext(Caller(DIRECT), frozenset({ALL}))
    with pytest.raises(Refused) as refused:
        await call.ask(failing(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"), object(), 120.0)
    assert refused.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "within 120 s" in str(refused.value)
    answered = grpc.aio.AioRpcError(refused.value.code, grpc.aio.Metadata(), grpc.aio.Metadata(), str(refused.value))
    assert str(command_error(answered, "hs.example.net:443", 600)) == str(refused.value)


def test_the_command_names_its_own_limit_where_no_answer_came() -> None:
    status = grpc.StatusCode.DEADLINE_EXCEEDED
    silent = grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(), "Deadline Exceeded")
    assert "hs.example.net:443 did not answer within 5 s" in str(command_error(silent, "hs.example.net:443", 5))


async def test_other_failures_of_a_service_stay_what_they_are() -> None:
    call = CallContext(Caller(DIRECT), frozenset({ALL}))
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call.ask(failing(grpc.StatusCode.UNAVAILABLE, "no connection"), object())
    assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
