"""Who gets in, as what, and what a node keeps when its key rotates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types

from services.registry.wiring import RegistryService
from services.shared.config.model import NodeConfig
from services.shared.rpc import with_machine_key
from tests.fakes.clock import FakeClock
from tests.fakes.registry import RegistryClient, machine, node_key, registry_config, start_registry, with_prefixes

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
async def service(tmp_path: Path, clock: FakeClock) -> AsyncIterator[tuple[RegistryService, RegistryClient]]:
    service, channel, _ = await start_registry(tmp_path, clock=clock)
    yield service, RegistryClient(channel)
    await service.stop()


@pytest.fixture
def registry(service: tuple[RegistryService, RegistryClient]) -> RegistryClient:
    return service[1]


async def refused(call: object) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value.code()


async def position(registry: RegistryClient) -> int:
    response = await registry.stub.GetChanges(pb.GetChangesRequest(after=0))
    return int(response.last)


async def test_the_same_admission_again_changes_nothing(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    first = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    before = await position(registry)
    again = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    assert again == first
    assert await position(registry) == before


@pytest.mark.statement(52)
async def test_rotation_keeps_id_stable_id_addresses_and_name(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    first = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    rotated = await registry.admit(machine(1), node_key(2), user_id=alice.id, old=node_key(1))
    expected = node_types.Node.FromString(first.SerializeToString())
    expected.node_key = node_key(2).raw
    assert rotated == expected


async def test_a_new_key_of_the_same_machine_and_user_is_a_rotation_without_the_old_key_too(
    registry: RegistryClient,
) -> None:
    alice = await registry.user("alice")
    first = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    rotated = await registry.admit(machine(1), node_key(2), user_id=alice.id)
    assert (rotated.id, len(await registry.nodes())) == (first.id, 1)


@pytest.mark.statement(40)
async def test_another_user_on_the_same_machine_is_another_node(registry: RegistryClient) -> None:
    alice, bob = await registry.user("alice"), await registry.user("bob")
    one = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    two = await registry.admit(machine(1), node_key(2), user_id=bob.id, old=node_key(1))
    assert one.id != two.id and one.stable_id != two.stable_id
    assert (one.given_name, two.given_name) == ("host", "host-1")
    assert await registry.node(one.id) == one


@pytest.mark.statement(38, 39)
async def test_a_node_key_is_never_taken_from_another_machine(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    stolen = registry.admit(machine(2), node_key(1), user_id=alice.id)
    assert await refused(stolen) is grpc.StatusCode.PERMISSION_DENIED
    request = pb.UpdateNodeRequest(node_key=node_key(1).raw, endpoints=["192.0.2.1:1"])
    assert await refused(registry.update(machine(2), request)) is grpc.StatusCode.PERMISSION_DENIED
    out = registry.stub.LogOutNode(
        pb.LogOutNodeRequest(node_key=node_key(1).raw), metadata=with_machine_key(machine(2))
    )
    assert await refused(out) is grpc.StatusCode.PERMISSION_DENIED
    assert await registry.nodes() == [node]


async def test_an_old_key_of_another_machine_rotates_nothing(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    other = await registry.admit(machine(2), node_key(2), user_id=alice.id, old=node_key(1))
    assert other.id != node.id
    assert await registry.node(node.id) == node


async def test_the_key_of_another_users_node_on_this_machine_is_refused(registry: RegistryClient) -> None:
    alice, bob = await registry.user("alice"), await registry.user("bob")
    await registry.admit(machine(1), node_key(1), user_id=alice.id)
    same = registry.admit(machine(1), node_key(1), user_id=bob.id)
    assert await refused(same) is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.statement(59)
async def test_tagged_nodes_have_no_owner_and_no_term(tmp_path: Path, clock: FakeClock) -> None:
    config = replace(registry_config(tmp_path), node=NodeConfig(expiry=timedelta(days=180)))
    service, channel, _ = await start_registry(tmp_path, config=config, clock=clock)
    registry = RegistryClient(channel)
    alice = await registry.user("alice")
    owned = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    assert owned.expiry.ToDatetime(UTC) == START + timedelta(days=180)
    tagged = await registry.admit(machine(2), node_key(2), tags=["tag:b", "tag:a"], expiry=START + timedelta(days=1))
    assert (tagged.user_id, list(tagged.tags), tagged.HasField("expiry")) == (0, ["tag:a", "tag:b"], False)
    retagged = await registry.admit(machine(1), node_key(3), tags=["tag:a"], old=node_key(1))
    assert (retagged.id, retagged.user_id, retagged.HasField("expiry")) == (owned.id, 0, False)
    assert retagged.ipv4 == owned.ipv4
    back = await registry.admit(machine(1), node_key(4), user_id=alice.id, old=node_key(3))
    assert (back.id, back.user_id, list(back.tags)) == (owned.id, alice.id, [])
    await service.stop()


async def test_neither_user_nor_tags_is_refused(registry: RegistryClient) -> None:
    assert await refused(registry.admit(machine(1), node_key(1))) is grpc.StatusCode.INVALID_ARGUMENT
    assert await refused(registry.admit(machine(1), node_key(1), user_id=77)) is grpc.StatusCode.NOT_FOUND


async def test_an_expired_node_comes_back_as_itself(registry: RegistryClient, clock: FakeClock) -> None:
    alice = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=alice.id, expiry=START + timedelta(minutes=1))
    clock.advance(120)
    assert not (await registry.stub.VerifyNodeKey(pb.VerifyNodeKeyRequest(node_key=node_key(1).raw))).allow
    back = await registry.admit(machine(1), node_key(2), user_id=alice.id, old=node_key(1))
    assert (back.id, back.expired, back.HasField("expiry")) == (node.id, False, False)
    assert (await registry.stub.VerifyNodeKey(pb.VerifyNodeKeyRequest(node_key=node_key(2).raw))).allow
    assert not (await registry.stub.VerifyNodeKey(pb.VerifyNodeKeyRequest(node_key=node_key(1).raw))).allow


async def test_an_expiry_in_the_past_admits_nobody(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    late = registry.admit(machine(1), node_key(1), user_id=alice.id, expiry=START - timedelta(seconds=1))
    assert await refused(late) is grpc.StatusCode.INVALID_ARGUMENT
    assert await registry.nodes() == []


async def test_exhaustion_is_a_clear_refusal_that_costs_nothing(tmp_path: Path) -> None:
    config = with_prefixes(registry_config(tmp_path), "100.64.0.0/30", "")
    service, channel, _ = await start_registry(tmp_path, config=config)
    registry = RegistryClient(channel)
    alice = await registry.user("alice")
    one = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    two = await registry.admit(machine(2), node_key(2), user_id=alice.id)
    assert [(one.ipv4, one.ipv6), (two.ipv4, two.ipv6)] == [("100.64.0.1", ""), ("100.64.0.2", "")]
    with pytest.raises(grpc.aio.AioRpcError, match=r"no address is left in 100\.64\.0\.0/30") as caught:
        await registry.admit(machine(3), node_key(3), user_id=alice.id)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await registry.admit(machine(1), node_key(4), user_id=alice.id)
    await registry.stub.DeleteNode(pb.DeleteNodeRequest(id=one.id))
    assert (await registry.admit(machine(3), node_key(3), user_id=alice.id)).ipv4 == "100.64.0.1"
    await service.stop()


async def test_find_tells_what_a_client_may_be(registry: RegistryClient) -> None:
    alice, bob = await registry.user("alice"), await registry.user("bob")
    one = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    two = await registry.admit(machine(1), node_key(2), user_id=bob.id)
    request = pb.FindNodeRequest(node_key=node_key(2).raw, old_node_key=node_key(1).raw)
    mine = await registry.stub.FindNode(request, metadata=with_machine_key(machine(1)))
    assert (mine.by_node_key, mine.by_old_node_key) == (two, one)
    assert list(mine.of_machine) == [one, two] and [user.name for user in mine.users] == ["alice", "bob"]
    strange = await registry.stub.FindNode(request, metadata=with_machine_key(machine(9)))
    assert strange.by_node_key == two and not strange.HasField("by_old_node_key") and not strange.of_machine


async def test_admissions_at_once_share_transactions_and_collide_in_nothing(
    service: tuple[RegistryService, RegistryClient],
) -> None:
    registry = service[1]
    alice = await registry.user("alice")
    before = service[0].ledger.commits
    nodes = await asyncio.gather(
        *(registry.admit(machine(number), node_key(number), user_id=alice.id) for number in range(1, 201))
    )
    assert len({node.ipv4 for node in nodes}) == len({node.ipv6 for node in nodes}) == 200
    assert len({node.given_name for node in nodes}) == len({node.stable_id for node in nodes}) == 200
    assert service[0].ledger.commits - before < 50


@pytest.mark.statement(54)
async def test_logout_ends_the_key_now(registry: RegistryClient, clock: FakeClock) -> None:
    alice = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    request = pb.LogOutNodeRequest(node_key=node_key(1).raw)
    request.expiry.FromDatetime(datetime(1970, 1, 1, 0, 2, 3))
    clock.advance(5)
    await registry.stub.LogOutNode(request, metadata=with_machine_key(machine(1)))
    out = await registry.node(node.id)
    assert out.expired and out.expiry.ToDatetime(UTC) == clock.now()
    clock.advance(5)
    await registry.stub.LogOutNode(request, metadata=with_machine_key(machine(1)))
    assert await registry.node(node.id) == out


async def test_logout_deletes_an_ephemeral_node(registry: RegistryClient) -> None:
    node = await registry.admit(machine(1), node_key(1), tags=["tag:a"], ephemeral=True)
    await registry.stub.LogOutNode(
        pb.LogOutNodeRequest(node_key=node_key(1).raw), metadata=with_machine_key(machine(1))
    )
    assert await refused(registry.node(node.id)) is grpc.StatusCode.NOT_FOUND


@pytest.mark.statement(56)
async def test_a_client_may_shorten_its_key_but_never_extend_it(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=alice.id, expiry=START + timedelta(days=2))

    async def ask(days: int) -> None:
        request = pb.LogOutNodeRequest(node_key=node_key(1).raw)
        request.expiry.FromDatetime(START + timedelta(days=days))
        await registry.stub.LogOutNode(request, metadata=with_machine_key(machine(1)))

    await ask(1)
    assert (await registry.node(node.id)).expiry.ToDatetime(UTC) == START + timedelta(days=1)
    assert await refused(ask(2)) is grpc.StatusCode.INVALID_ARGUMENT
    assert (await registry.node(node.id)).expiry.ToDatetime(UTC) == START + timedelta(days=1)


async def test_a_key_without_an_end_has_none_whatever_the_default(tmp_path: Path) -> None:
    config = replace(registry_config(tmp_path), node=NodeConfig(expiry=timedelta(days=180)))
    service, channel, _ = await start_registry(tmp_path, config=config)
    try:
        registry = RegistryClient(channel)
        alice = await registry.user("alice")
        request = pb.AdmitNodeRequest(node_key=node_key(1).raw, user_id=alice.id, hostinfo=b"{}", no_expiry=True)
        metadata = with_machine_key(machine(1))
        assert not (await registry.stub.AdmitNode(request, metadata=metadata, timeout=10)).node.HasField("expiry")
        request.no_expiry = False
        request.node_key = node_key(2).raw
        assert (await registry.stub.AdmitNode(request, metadata=metadata, timeout=10)).node.HasField("expiry")
        request.no_expiry = True
        assert not (await registry.stub.AdmitNode(request, metadata=metadata, timeout=10)).node.HasField("expiry")
        request.expiry.FromDatetime(datetime(2099, 1, 1))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await registry.stub.AdmitNode(request, metadata=metadata, timeout=10)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    finally:
        await service.stop()
