"""Who is who, as administrators say: identities linked, unlinked and relinked, and what is remembered of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.types.v1 import user_pb2 as user_types

from tests.fakes.registry import ISSUER, RegistryClient, machine, node_key, sign_in, start_registry


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[RegistryClient]:
    service, channel, _ = await start_registry(tmp_path)
    yield RegistryClient(channel)
    await service.stop()


async def person(registry: RegistryClient, user_id: int) -> pb.GetPersonResponse:
    return await registry.stub.GetPerson(pb.GetPersonRequest(user_id=user_id), timeout=10)


async def link(registry: RegistryClient, user_id: int, subject: str, issuer: str = ISSUER) -> user_types.User:
    request = pb.LinkUserRequest(user_id=user_id, issuer=issuer, subject=subject, actor="me")
    return (await registry.stub.LinkUser(request, timeout=10)).user


async def unlink(registry: RegistryClient, subject: str) -> user_types.User:
    request = pb.UnlinkUserRequest(issuer=ISSUER, subject=subject, actor="me")
    return (await registry.stub.UnlinkUser(request, timeout=10)).user


async def change(registry: RegistryClient, user_id: int, **fields: Any) -> pb.ChangeRightsResponse:
    request = pb.ChangeRightsRequest(user_id=user_id, source="refresh", **fields)
    return await registry.stub.ChangeRights(request, timeout=10)


def refused(error: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> grpc.StatusCode:
    return error.value.code()


async def test_an_identity_that_was_linked_beforehand_is_that_user_at_its_first_login(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    linked = await link(registry, alice.id, "s9")
    assert (linked.provider, linked.provider_id) == ("oidc", f"{ISSUER}/s9")
    found = await person(registry, alice.id)
    assert [(one.subject, one.HasField("last_login"), one.groups_known) for one in found.links] == [
        ("s9", False, False)
    ]
    signed_in = await sign_in(registry, "s9", names=["somebody"], create=False)
    assert signed_in.user.id == alice.id and not signed_in.created
    assert (await person(registry, alice.id)).links[0].HasField("last_login")


async def test_the_groups_of_all_identities_count_and_go_with_their_identity(registry: RegistryClient) -> None:
    alice = (await sign_in(registry, "s1", names=["alice"], groups=["dev", "ops"])).user
    await link(registry, alice.id, "t1", "https://other.example")
    both = await sign_in(registry, "t1", issuer="https://other.example", groups=["dev", "finance"])
    assert both.user.id == alice.id and list(both.user.groups) == ["dev", "finance", "ops"]
    assert list((await unlink(registry, "s1")).groups) == ["dev", "finance"]
    stranger = await sign_in(registry, "s1", names=["alice"], email="alice@example.com")
    assert stranger.created and stranger.user.name == "alice-2"


async def test_an_address_alone_does_not_make_anybody_an_unlinked_user(registry: RegistryClient) -> None:
    alice = (await sign_in(registry, "s1", names=["alice"], email="alice@example.com")).user
    await unlink(registry, "s1")
    again = await sign_in(registry, "s2", names=["alice"], email="alice@example.com")
    assert again.user.id != alice.id


async def test_an_identity_belongs_to_one_user(registry: RegistryClient) -> None:
    first = (await sign_in(registry, "s1", names=["alice"])).user
    other = await registry.user("bob")
    assert (await link(registry, first.id, "s1")).id == first.id
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await link(registry, other.id, "s1")
    assert refused(failure) is grpc.StatusCode.ALREADY_EXISTS
    for call, code in (
        (link(registry, 99, "s2"), grpc.StatusCode.NOT_FOUND),
        (link(registry, other.id, ""), grpc.StatusCode.INVALID_ARGUMENT),
        (link(registry, other.id, "a\nb"), grpc.StatusCode.INVALID_ARGUMENT),
        (unlink(registry, "s2"), grpc.StatusCode.NOT_FOUND),
        (person(registry, 99), grpc.StatusCode.NOT_FOUND),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call
        assert refused(failure) is code


async def test_a_replaced_identity_is_relinked_with_its_nodes(registry: RegistryClient) -> None:
    old = (await sign_in(registry, "s1", names=["alice"], email="alice@example.com", groups=["dev"])).user
    new = (await sign_in(registry, "s2", names=["alice"], email="alice@example.com", groups=["ops"])).user
    await registry.admit(machine(1), node_key(1), user_id=old.id, hostname="laptop")
    await registry.admit(machine(1), node_key(2), user_id=new.id, hostname="laptop")
    phone = await registry.admit(machine(2), node_key(3), user_id=new.id, hostname="phone")
    request = pb.RelinkUserRequest(from_user_id=new.id, to_user_id=old.id, actor="me")
    moved = await registry.stub.RelinkUser(request, timeout=10)
    assert (moved.links, moved.nodes, moved.left) == (1, 1, 1)
    assert (moved.user.id, list(moved.user.groups)) == (old.id, ["dev", "ops"])
    assert moved.user.provider_id == f"{ISSUER}/s2" and moved.user.email == "alice@example.com"
    assert (await registry.node(phone.id)).user_id == old.id
    given_up = await person(registry, new.id)
    assert (given_up.user.email, given_up.user.provider_id, list(given_up.links)) == ("", "", [])
    assert (await sign_in(registry, "s2", create=False)).user.id == old.id
    assert (await sign_in(registry, "s1", create=False)).user.id == old.id
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await registry.stub.RelinkUser(pb.RelinkUserRequest(from_user_id=old.id, to_user_id=old.id), timeout=10)
    assert refused(failure) is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_is_known_of_a_person_says_who_said_it_and_when(registry: RegistryClient) -> None:
    alice = (await sign_in(registry, "s1", names=["alice"], email="a@example.com", groups=["dev"])).user
    await sign_in(registry, "s1", email="b@example.com", groups=["dev", "ops"])
    await change(registry, alice.id, number=3, standing="STANDING_SUSPENDED", actor="me", reason="left")
    found = await person(registry, alice.id)
    told = [(entry.attribute, entry.before, entry.after, entry.source) for entry in found.history]
    assert told[:3] == [
        ("standing", "active", "suspended: left", "refresh (me)"),
        ("groups", "dev", "dev, ops", ISSUER),
        ("email", "a@example.com", "b@example.com", ISSUER),
    ]
    assert ("name", "", "alice", ISSUER) in told
    assert (found.standing.actor, found.standing.reason) == ("me", "left") and found.user.suspended
    dev, ops = found.links[0].groups
    assert (dev.name, ops.name) == ("dev", "ops") and dev.since.ToDatetime() < ops.since.ToDatetime()


async def test_changed_groups_are_one_more_change_of_rights(registry: RegistryClient) -> None:
    alice = (await sign_in(registry, "s1", names=["alice"], groups=["dev"])).user
    groups = pb.LoginGroups(issuer=ISSUER, subject="s1", names=["ops"])
    assert list((await change(registry, alice.id, number=5, groups=groups)).user.groups) == ["ops"]
    late = pb.LoginGroups(issuer=ISSUER, subject="s1", names=["dev"])
    assert not (await change(registry, alice.id, number=4, groups=late)).changed
    assert list((await person(registry, alice.id)).user.groups) == ["ops"]
    assert not (await person(registry, alice.id)).HasField("standing")
    theirs = pb.LoginGroups(issuer=ISSUER, subject="s2", names=["dev"])
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await change(registry, alice.id, number=6, groups=theirs)
    assert refused(failure) is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_suspended_person_has_no_relay_and_the_tagged_nodes_keep_it(registry: RegistryClient) -> None:
    alice = await registry.user("alice")
    await registry.admit(machine(1), node_key(1), user_id=alice.id)
    await registry.admit(machine(2), node_key(2), tags=["tag:x"])
    await change(registry, alice.id, number=1, standing="STANDING_SUSPENDED")
    allowed = [
        (await registry.stub.VerifyNodeKey(pb.VerifyNodeKeyRequest(node_key=node_key(number).raw), timeout=10)).allow
        for number in (1, 2)
    ]
    assert allowed == [False, True]
    again = await change(registry, alice.id, number=2, standing="STANDING_SUSPENDED")
    assert again.user.suspended and not again.changed
    await change(registry, alice.id, number=1, standing="STANDING_GOOD")
    assert (await person(registry, alice.id)).user.suspended
