"""Every call for administrators refuses the same bad parameters alike over every wire, and is counted.

The wires are gRPC over the unix socket and over TCP, plain HTTP (`/api/rpc`) and REST (`/api/v1`), where it has the
parameter. `/api/v2` has shapes of its own; `tests/flow/rest_v2` has its refusals.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import grpc.aio
import httpx
import orjson
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from headscale.v1 import apikey_pb2
from prometheus_client import generate_latest

from gateway.admin.calls.table import NOUNS
from gateway.admin.checks import LONG
from gateway.admin.rest.v1.operations import EVERY
from tests.fakes.ports import free_port
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

METHODS: tuple[MethodDescriptor, ...] = tuple(method for service in NOUNS for method in service.methods)
TEXTS = ("a\0b", "a\x1bb", "a\x85b", "a\u202eb", "x" * 3000)
BEYOND_IDS = 1 << 63
TOO_MANY = ["tag:a"] * 2049
TOO_LATE = 253402214400
"""The last day of the year 9999 in seconds since 1970."""


@dataclass(frozen=True)
class Case:
    """One bad parameter of one operation."""

    method: MethodDescriptor
    within: tuple[str, ...]
    """Fields that lead to the message with the parameter; empty where it is one of the request itself."""
    field: FieldDescriptor
    value: Any

    def request(self) -> Message:
        """The request with nothing but this parameter."""
        made: Any = GetMessageClass(self.method.input_type)()
        inner = made
        for name in self.within:
            found = getattr(inner, name)
            inner = found.add() if inner.DESCRIPTOR.fields_by_name[name].is_repeated else found
        if self.field.is_repeated:
            getattr(inner, self.field.name).extend(self.value)
        elif self.field.message_type is not None:
            getattr(inner, self.field.name).seconds = self.value
        else:
            setattr(inner, self.field.name, self.value)
        return made  # type: ignore[no-any-return]


def bad_values(field: FieldDescriptor) -> Iterator[Any]:
    """The values that no parameter of this type may have, whatever the operation."""
    if field.message_type is not None:
        yield TOO_LATE
    elif field.type == FieldDescriptor.TYPE_UINT64:
        yield BEYOND_IDS
    elif field.type == FieldDescriptor.TYPE_STRING and field.is_repeated:
        yield TOO_MANY
        yield from (["tag:a", text] for text in TEXTS)
    elif field.type == FieldDescriptor.TYPE_STRING:
        yield from (("a\0b",) if field.name in LONG else TEXTS)


def parameters(message: Descriptor, within: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldDescriptor]]:
    """Every parameter of a message and of the messages in it."""
    for field in message.fields:
        if field.message_type is not None and field.message_type is not Timestamp.DESCRIPTOR:
            yield from parameters(field.message_type, (*within, field.name))
        else:
            yield within, field


CASES = [
    Case(method, within, field, value)
    for method in METHODS
    for within, field in parameters(method.input_type)
    for value in bad_values(field)
]  # fmt: skip


@dataclass
class Wires:
    """One administrator with four ways to the same server."""

    tailnet: Tailnet
    unix: grpc.aio.Channel
    tcp: grpc.aio.Channel
    web: httpx.AsyncClient
    key: str

    async def over_grpc(self, channel: grpc.aio.Channel, case: Case) -> tuple[str, str]:
        """The status and the text of the refusal."""
        method, kind = case.method, GetMessageClass(case.method.output_type)
        path = f"/{method.containing_service.full_name}/{method.name}"
        call: Any = channel.unary_unary(path, lambda one: one.SerializeToString(), kind.FromString)
        try:
            await call(case.request(), metadata=(("authorization", f"Bearer {self.key}"),))
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        return "OK", ""

    async def over_http(self, case: Case) -> tuple[str, str]:
        """The same over plain HTTP/1.1."""
        answer = await self.web.post(
            f"/api/rpc/{case.method.containing_service.full_name}/{case.method.name}",
            content=case.request().SerializeToString(),
            headers={"content-type": "application/proto"},
        )
        if answer.status_code == 200:
            return "OK", ""
        return answer.json()["code"].upper(), answer.json()["message"]

    async def over_rest(self, case: Case) -> tuple[str, str] | None:
        """The same, or None where REST has no such parameter."""
        operation = next((one for one in EVERY if one.method is case.method), None)
        if operation is None:
            return None
        name, value = case.field.name, case.value
        if case.field.message_type is not None:
            value = "9999-12-31T00:00:00Z"
        path = operation.path
        for one in operation.path_fields:
            text = str(value) if one == name else "1"
            path = path.replace(f"{{{one}}}", quote(text, safe=""))
        body = {name: value} if operation.body and name not in operation.path_fields else {}
        query = {name: str(value)} if not operation.body and name in operation.query else {}
        if name not in (*operation.path_fields, *body, *query):
            return None
        answer = await self.web.request(
            operation.verb, f"/api/v1{path}", params=query, content=orjson.dumps(body) if operation.body else None
        )
        if answer.status_code == 200:
            return "OK", ""
        found = answer.json()
        return next(code.name for code in grpc.StatusCode if code.value[0] == found["code"]), found["message"]


@pytest.fixture
async def wires(tmp_path: Path) -> AsyncIterator[Wires]:
    port = free_port()
    config = replace(
        config_in(tmp_path, admin_calls_per_second=100_000),
        grpc_listen_addr=f"127.0.0.1:{port}",
        grpc_allow_insecure=True,
    )
    async with (
        tailnet_in(tmp_path, config) as tailnet,
        grpc.aio.insecure_channel(f"unix:{config.unix_socket}") as unix,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as tcp,
    ):
        key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=tailnet.url, headers=headers, timeout=20) as web:
            yield Wires(tailnet, unix, tcp, web, key)


def test_the_table_has_every_operation_that_takes_parameters() -> None:
    named = {case.method.full_name for case in CASES}
    assert {one.full_name for one in METHODS if one.full_name not in named} == {
        "headscale.v1.HeadscaleService.ListPreAuthKeys",
        "headscale.v1.HeadscaleService.ListApiKeys",
        "headscale.v1.HeadscaleService.GetPolicy",
        "headscale.v1.HeadscaleService.BackfillNodeIPs",
        "headscale.v1.HeadscaleService.Health",
        "smartscale.admin.v1.PendingLoginAdminService.ListPendingLogins",
        "smartscale.admin.v1.ServerAdminService.ReloadConfiguration",
        "smartscale.admin.v1.ServerAdminService.GetSignInHealth",
        "smartscale.admin.v1.UserAdminService.ListGroups",
        "smartscale.admin.v1.KeyAdminService.ListKeys",
        "smartscale.admin.v1.SettingsAdminService.GetSettings",
        "smartscale.admin.v1.SettingsAdminService.GetContacts",
        "smartscale.admin.v1.AuditAdminService.VerifyEntries",
        "smartscale.admin.v1.DnsAdminService.GetDns",
    }


async def test_a_bad_parameter_gets_the_same_verdict_over_every_wire(wires: Wires) -> None:
    for case in CASES:
        where = (case.method.full_name, case.field.name, str(case.value)[:20])
        first = await wires.over_grpc(wires.unix, case)
        assert first[0] == "INVALID_ARGUMENT", (where, first)
        assert first[1].startswith(case.field.name), (where, first)
        assert await wires.over_grpc(wires.tcp, case) == first, where
        assert await wires.over_http(case) == first, where
        assert await wires.over_rest(case) in (None, first), where


async def test_each_wire_counts_the_calls_that_it_makes(wires: Wires) -> None:
    for case in (next(case for case in CASES if case.method is method) for method in {one.method for one in CASES}):
        await wires.over_grpc(wires.unix, case)
    told = generate_latest(wires.tailnet.telemetry.registry).decode()
    for name in {case.method.name for case in CASES}:
        assert f'smartscale_admin_calls_total{{call="{name}",status="INVALID_ARGUMENT"}}' in told
