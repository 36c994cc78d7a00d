"""Anything may come over the wire: every RPC answers or refuses, no exception is logged, the log stays whole."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from smartscale.registry.v1 import registry_pb2 as pb

from services.shared.rpc import with_machine_key
from tests.fakes.registry import RegistryClient, machine, node_key, start_registry

ROUNDS = 25
CLEAR = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.FAILED_PRECONDITION,
}
NUMBERS = [
    0,
    1,
    2,
    3,
    900,
    65536,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
    -1,
    -(1 << 31),
]
TEXTS = [
    "",
    "a",
    "alice",
    "tag:a",
    "10.0.0.0/8",
    "::/0",
    "192.0.2.1:1",
    "\x00",
    "a\nb",
    "\u202e",
    "é" * 300,
    "x" * 70_000,
]
DATA = [
    b"",
    bytes(32),
    b"\x01" * 31,
    node_key(1).raw,
    node_key(2).raw,
    machine(1).raw,
    b"{}",
    b"{",
    b"null",
    b'{"Hostname":"\\u0000\\ud800"}',
    b'{"Hostname":{"a":[]},"NetInfo":1}',
    b'{"RoutableIPs":["::ffff:1.2.3.4/96","1.2.3.4/00"]}',
    b"\xff" * 300_000,
]


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[RegistryClient]:
    service, channel, _ = await start_registry(tmp_path)
    client = RegistryClient(channel)
    alice = await client.user("alice")
    await client.admit(machine(1), node_key(1), user_id=alice.id)
    yield client
    await service.stop()


def value_for(field: Any, chance: random.Random, depth: int) -> Any:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return filled(field.message_type._concrete_class(), chance, depth - 1)
    if field.type == FieldDescriptor.TYPE_STRING:
        return chance.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return chance.choice(DATA)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return chance.random() < 0.5
    if field.type == FieldDescriptor.TYPE_ENUM:
        return chance.choice([0, 1, 2, 3, 4, 77])
    return chance.choice(NUMBERS)


def filled(message: Message, chance: random.Random, depth: int = 3) -> Any:
    """The message with some of its fields set to something nasty."""
    for field in message.DESCRIPTOR.fields:
        if depth <= 0 or chance.random() < 0.3:
            continue
        values = [
            value_for(field, chance, depth) for _ in range(chance.choice([1, 1, 2, 70]) if field.is_repeated else 1)
        ]
        try:
            if field.is_repeated:
                getattr(message, field.name).extend(values)
            elif field.type == FieldDescriptor.TYPE_MESSAGE:
                getattr(message, field.name).CopyFrom(values[0])
            else:
                setattr(message, field.name, values[0])
        except ValueError:
            continue  # the number does not fit into the field's type
    return message


async def call(registry: RegistryClient, method: Any, request: Any) -> grpc.StatusCode:
    metadata = with_machine_key(machine(1))
    try:
        answer = getattr(registry.stub, method.name)(request, metadata=metadata, timeout=10)
        if method.server_streaming:
            assert [part async for part in answer]
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


METHODS = list(pb.DESCRIPTOR.services_by_name["RegistryService"].methods)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_nonsense_gets_a_clear_answer(
    registry: RegistryClient, method: Any, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(method.name)
    codes = set()
    for _ in range(ROUNDS):
        codes.add(await call(registry, method, filled(method.input_type._concrete_class(), chance)))
    assert codes <= CLEAR | {grpc.StatusCode.OK}
    assert not [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]
    log = await registry.changes()
    assert [change.seq for change in log] == list(range(1, len(log) + 1))
    assert await registry.user("survivor")


async def test_a_machine_key_that_is_none_is_refused(registry: RegistryClient) -> None:
    for metadata in [(), (("smartscale-machine-key", "mkey:12"),), with_machine_key(machine(1)) * 2]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await registry.stub.FindNode(pb.FindNodeRequest(node_key=node_key(1).raw), metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
