"""Which check an SSH session needs is told to the machine that is its destination, and to nobody else."""

from __future__ import annotations

import grpc
import grpc.aio
import orjson
import pytest
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb
from smartscale.map_streamer.v1 import map_streamer_pb2_grpc

from services.shared.access.compiled import ALLOW_ALL, Alias, AliasKind, CompiledPolicy, SshRule
from services.shared.keys import MachineKey
from services.shared.rpc import LocalChannel, with_machine_key
from tests.fakes.change_logs import make_node
from tests.fakes.streamer import Lab

USER1 = Alias(AliasKind.USER, "user1@example.com")


async def test_only_the_machine_of_the_destination_is_told_which_check_a_session_needs(lab: Lab) -> None:
    rule = SshRule(check=True, source=(USER1,), destination=(USER1,), users=("root",), check_period=60)
    mine, other = make_node(1), make_node(2)
    await lab.registry.put_node(mine, other)
    await lab.policy.put(CompiledPolicy(grants=ALLOW_ALL.grants, ssh=(rule,)))
    await lab.start()
    stub = map_streamer_pb2_grpc.MapStreamerServiceStub(LocalChannel(lab.servers[0]))

    async def ask(source: int, destination: int, machine: bytes) -> pb.FindSshCheckResponse:
        request = pb.FindSshCheckRequest(source_id=source, destination_id=destination, local_user="root")
        answer: pb.FindSshCheckResponse = await stub.FindSshCheck(
            request, metadata=with_machine_key(MachineKey(machine)), timeout=5
        )
        return answer

    told = await ask(2, 1, mine.machine_key)
    assert (told.period_seconds, told.everywhere) == (60, False)
    assert orjson.loads(told.action)["allowAgentForwarding"] is True
    said = set()
    for source, destination, machine in (
        (2, 1, other.machine_key), (2, 1, bytes(32)), (99, 1, mine.machine_key), (1, 99, mine.machine_key),
        (2**64 - 1, 1, mine.machine_key),
    ):  # fmt: skip
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(source, destination, machine)
        said.add((refused.value.code(), refused.value.details()))
    assert len(said) == 1 and next(iter(said))[0] is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.FindSshCheck(pb.FindSshCheckRequest(source_id=2, destination_id=1))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
