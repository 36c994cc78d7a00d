"""What administrators do: users, names, tags, routes, expiry, backfill."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb

from services.registry.usecases import nodes
from tests.fakes.clock import FakeClock
from tests.fakes.registry import RegistryClient, machine, node_key, registry_config, start_registry, with_prefixes

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[RegistryClient]:
    service, channel, _ = await start_registry(tmp_path, clock=FakeClock(START))
    yield RegistryClient(channel)
    await service.stop()


async def refused(call: object) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value.code()


async def test_users_are_found_by_any_field(registry: RegistryClient) -> None:
    request = pb.CreateUserRequest(
        name="alice", display_name="Alice", email="a@example.org", profile_pic_url="https://example.org/a.png"
    )
    alice = (await registry.stub.CreateUser(request)).user
    bob = await registry.user("bob")
    assert (alice.display_name, alice.email, alice.role) == ("Alice", "a@example.org", "member")
    for query, found in [
        (pb.ListUsersRequest(), [alice, bob]),
        (pb.ListUsersRequest(id=bob.id), [bob]),
        (pb.ListUsersRequest(name="alice"), [alice]),
        (pb.ListUsersRequest(email="a@example.org"), [alice]),
        (pb.ListUsersRequest(name="alice", id=bob.id), []),
        (pb.ListUsersRequest(id=(1 << 64) - 1), []),
    ]:
        assert list((await registry.stub.ListUsers(query)).users) == found


async def test_user_names_are_unique_and_checked(registry: RegistryClient) -> None:
    alice, bob = await registry.user("alice"), await registry.user("bob")
    assert await refused(registry.user("alice")) is grpc.StatusCode.ALREADY_EXISTS
    assert await refused(registry.user("../x")) is grpc.StatusCode.INVALID_ARGUMENT
    rename = registry.stub.RenameUser(pb.RenameUserRequest(id=bob.id, new_name="alice"))
    assert await refused(rename) is grpc.StatusCode.ALREADY_EXISTS
    missing = registry.stub.RenameUser(pb.RenameUserRequest(id=99, new_name="carol"))
    assert await refused(missing) is grpc.StatusCode.NOT_FOUND
    renamed = (await registry.stub.RenameUser(pb.RenameUserRequest(id=alice.id, new_name="anna"))).user
    assert (renamed.id, renamed.name) == (alice.id, "anna")


async def test_a_user_with_nodes_cannot_be_deleted_and_ids_are_not_reused(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    delete = pb.DeleteUserRequest(id=alice.id)
    assert await refused(registry.stub.DeleteUser(delete)) is grpc.StatusCode.FAILED_PRECONDITION
    await registry.stub.DeleteNode(pb.DeleteNodeRequest(id=node.id))
    await registry.stub.DeleteUser(delete)
    assert await refused(registry.stub.DeleteUser(delete)) is grpc.StatusCode.NOT_FOUND
    assert (await registry.user("alice")).id > alice.id


async def test_listing_by_user(registry: RegistryClient) -> None:
    alice, bob = await registry.user("alice"), await registry.user("bob")
    one = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    await registry.admit(machine(2), node_key(2), user_id=bob.id)
    (listing,) = [part async for part in registry.stub.ListNodes(pb.ListNodesRequest(user_id=alice.id))]
    assert (list(listing.nodes), [user.name for user in listing.users], listing.total) == ([one], ["alice"], 1)


@pytest.mark.statement(138)
async def test_a_given_name_is_a_free_label(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    one = await registry.admit(machine(1), node_key(1), user_id=alice.id, hostname="one")
    await registry.admit(machine(2), node_key(2), user_id=alice.id, hostname="two")

    def rename(name: str) -> object:
        return registry.stub.RenameNode(pb.RenameNodeRequest(id=one.id, new_name=name))

    assert await refused(rename("two")) is grpc.StatusCode.ALREADY_EXISTS
    assert await refused(rename("Not A Label")) is grpc.StatusCode.INVALID_ARGUMENT
    renamed = (await rename("first")).node  # type: ignore[misc]
    assert (renamed.given_name, renamed.given_name_fixed) == ("first", True)
    three = await registry.admit(machine(3), node_key(3), user_id=alice.id, hostname="one")
    assert three.given_name == "one"


async def test_tags_take_a_node_from_its_owner(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=alice.id, expiry=START + timedelta(days=1))
    tagged = (await registry.stub.SetTags(pb.SetTagsRequest(id=node.id, tags=["tag:b", "tag:a"]))).node
    assert (tagged.user_id, list(tagged.tags), tagged.HasField("expiry")) == (0, ["tag:a", "tag:b"], False)
    for tags in ([], ["nope"]):
        call = registry.stub.SetTags(pb.SetTagsRequest(id=node.id, tags=tags))
        assert await refused(call) is grpc.StatusCode.INVALID_ARGUMENT
    assert await refused(registry.stub.SetTags(pb.SetTagsRequest(id=9, tags=["tag:a"]))) is grpc.StatusCode.NOT_FOUND


async def test_approved_routes_are_masked_and_exits_come_in_pairs(registry: RegistryClient) -> None:
    node = await registry.admit(machine(1), node_key(1), tags=["tag:a"])
    request = pb.SetApprovedRoutesRequest(id=node.id, routes=["10.1.2.3/8", "::/0"])
    approved = (await registry.stub.SetApprovedRoutes(request)).node
    assert list(approved.approved_routes) == ["0.0.0.0/0", "10.0.0.0/8", "::/0"]
    none = (await registry.stub.SetApprovedRoutes(pb.SetApprovedRoutesRequest(id=node.id))).node
    assert not none.approved_routes
    bad = registry.stub.SetApprovedRoutes(pb.SetApprovedRoutesRequest(id=node.id, routes=["x"]))
    assert await refused(bad) is grpc.StatusCode.INVALID_ARGUMENT


async def test_expiry_now_later_and_never(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    node = await registry.admit(machine(1), node_key(1), user_id=alice.id)
    now = (await registry.stub.ExpireNode(pb.ExpireNodeRequest(id=node.id))).node
    assert now.expired and now.expiry.ToDatetime(UTC) == START
    later = pb.ExpireNodeRequest(id=node.id)
    later.expiry.FromDatetime(START + timedelta(days=1))
    assert not (await registry.stub.ExpireNode(later)).node.expired
    later.disable_expiry = True
    assert await refused(registry.stub.ExpireNode(later)) is grpc.StatusCode.INVALID_ARGUMENT
    never = (await registry.stub.ExpireNode(pb.ExpireNodeRequest(id=node.id, disable_expiry=True))).node
    assert not never.HasField("expiry") and not never.expired


@pytest.mark.statement(59)
async def test_a_tagged_node_gets_a_term_only_from_an_administrator(registry: RegistryClient) -> None:
    node = await registry.admit(machine(1), node_key(1), tags=["tag:a"])
    later = pb.ExpireNodeRequest(id=node.id)
    later.expiry.FromDatetime(START + timedelta(days=1))
    assert not node.HasField("expiry")
    given = (await registry.stub.ExpireNode(later)).node
    assert (given.expiry, given.expired) == (later.expiry, False)
    assert (await registry.stub.ExpireNode(pb.ExpireNodeRequest(id=node.id))).node.expired


async def test_impossible_times_are_refused(registry: RegistryClient) -> None:
    node = await registry.admit(machine(1), node_key(1), tags=["tag:a"])
    for seconds in (1 << 60, -(1 << 60), 253402300799):
        request = pb.ExpireNodeRequest(id=node.id)
        request.expiry.seconds = seconds
        assert await refused(registry.stub.ExpireNode(request)) is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_new_prefix_is_filled_in_on_request(tmp_path: Path) -> None:
    config = with_prefixes(registry_config(tmp_path), "100.64.0.0/10", "")
    service, channel, _ = await start_registry(tmp_path, config=config)
    before = await RegistryClient(channel).admit(machine(1), node_key(1), tags=["tag:a"])
    await service.stop()
    service, channel, _ = await start_registry(tmp_path)
    registry = RegistryClient(channel)
    said = list((await registry.stub.BackfillNodeIps(pb.BackfillNodeIpsRequest())).changes)
    assert said == ["assigned IPv6 fd7a:115c:a1e0::1 to Node(1) 'host'"]
    after = await registry.node(before.id)
    assert (after.ipv4, after.ipv6) == (before.ipv4, "fd7a:115c:a1e0::1")
    assert not (await registry.stub.BackfillNodeIps(pb.BackfillNodeIpsRequest())).changes
    await service.stop()


async def test_a_new_prefix_is_filled_in_over_several_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_prefixes(registry_config(tmp_path), "100.64.0.0/10", "")
    service, channel, _ = await start_registry(tmp_path, config=config)
    for number in range(1, 6):
        await RegistryClient(channel).admit(machine(number), node_key(number), tags=["tag:a"])
    await service.stop()
    monkeypatch.setattr(nodes, "MAX_FACTS", 2)
    service, channel, _ = await start_registry(tmp_path)
    before = service.ledger.commits
    changes = (await RegistryClient(channel).stub.BackfillNodeIps(pb.BackfillNodeIpsRequest())).changes
    assert [text.split()[4] for text in changes] == [f"Node({number})" for number in range(1, 6)]
    assert service.ledger.commits - before == 3
    await service.stop()


async def test_random_allocation_stays_inside_and_never_repeats(tmp_path: Path) -> None:
    config = with_prefixes(registry_config(tmp_path), "100.64.9.0/27", "fd7a:115c:a1e0::/64", "random")
    service, channel, _ = await start_registry(tmp_path, config=config)
    registry = RegistryClient(channel)
    nodes = [await registry.admit(machine(number), node_key(number), tags=["tag:a"]) for number in range(1, 31)]
    assert {node.ipv4 for node in nodes} == {f"100.64.9.{number}" for number in range(1, 31)}
    assert len({node.ipv6 for node in nodes}) == 30
    call = registry.admit(machine(99), node_key(99), tags=["tag:a"])
    assert await refused(call) is grpc.StatusCode.RESOURCE_EXHAUSTED
    await service.stop()


async def test_a_call_for_a_client_without_its_machine_key_is_refused(registry: RegistryClient) -> None:
    call = registry.stub.UpdateNode(pb.UpdateNodeRequest(node_key=node_key(1).raw))
    assert await refused(call) is grpc.StatusCode.UNAUTHENTICATED
