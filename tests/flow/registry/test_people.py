"""People who sign in, through the registry's border: who they become here, and what never makes them somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb

from tests.fakes.registry import ISSUER, RegistryClient, sign_in, start_registry


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[RegistryClient]:
    service, channel, _ = await start_registry(tmp_path)
    yield RegistryClient(channel)
    await service.stop()


async def test_the_same_identity_is_the_same_user_whatever_else_changes(registry: RegistryClient) -> None:
    first = await sign_in(registry, "s1", names=["alice"], email="alice@example.com", groups=["dev", "admins", "dev"])
    assert first.created and first.user.name == "alice" and list(first.user.groups) == ["admins", "dev"]
    assert first.user.provider == "oidc" and first.user.provider_id == f"{ISSUER}/s1"
    again = await sign_in(registry, "s1", names=["alicia"], email="alicia@example.com", groups=["dev"])
    assert not again.created and again.user.id == first.user.id and again.user.name == "alice"
    assert again.user.email == "alicia@example.com" and list(again.user.groups) == ["dev"]


async def test_groups_that_the_provider_does_not_mention_stay(registry: RegistryClient) -> None:
    await sign_in(registry, "s1", names=["alice"], groups=["dev"])
    kept = await sign_in(registry, "s1", groups_unknown=True)
    assert list(kept.user.groups) == ["dev"]
    assert list((await sign_in(registry, "s1")).user.groups) == []


async def test_another_subject_with_the_same_address_is_another_user(registry: RegistryClient) -> None:
    first = await sign_in(registry, "s1", names=["alice"], email="alice@example.com")
    second = await sign_in(registry, "s2", names=["alice"], email="alice@example.com")
    other = await sign_in(registry, "s1", names=["alice"], issuer="https://other.example")
    assert len({first.user.id, second.user.id, other.user.id}) == 3
    assert [second.user.name, other.user.name] == ["alice-2", "alice-3"]


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["", "Zoë"], "Zoë"),
        (["a", "alice@example.com"], "alice@example.com"),
        (["42 Ann Lee!"], "Ann-Lee"),
        ([], "user-s1"),
        (["../../x", "\x00"], "user-s1"),
        (["x" * 400], "x" * 242),
    ],
)
async def test_a_name_is_found_for_everybody(registry: RegistryClient, names: list[str], name: str) -> None:
    assert (await sign_in(registry, "s1", names=names)).user.name == name


async def test_a_taken_name_never_reads_as_an_address_elsewhere(registry: RegistryClient) -> None:
    await registry.user("alice@example.com")
    assert (await sign_in(registry, "s1", names=["alice@example.com"])).user.name == "alice-at-example.com-2"


async def test_a_user_made_beforehand_is_claimed_once_by_its_address(registry: RegistryClient) -> None:
    made = await registry.user("alice@example.com")
    claimed = await sign_in(registry, "s1", email="Alice@Example.com", create=False)
    assert claimed.user.id == made.id and not claimed.created
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sign_in(registry, "s2", email="alice@example.com", create=False)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_nobody_is_made_where_that_is_off(registry: RegistryClient) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sign_in(registry, "s1", names=["alice"], create=False)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert not (await registry.stub.ListUsers(pb.ListUsersRequest(), timeout=10)).users


async def test_a_deleted_user_comes_back_as_a_new_one(registry: RegistryClient) -> None:
    first = await sign_in(registry, "s1", names=["alice"])
    await registry.stub.DeleteUser(pb.DeleteUserRequest(id=first.user.id), timeout=10)
    again = await sign_in(registry, "s1", names=["alice"])
    assert again.created and again.user.id != first.user.id


@pytest.mark.parametrize(
    "fields",
    [
        {"issuer": ""},
        {"subject": ""},
        {"subject": "s" * 256},
        {"subject": "a\nb"},
        {"email": "a\nb@x"},
        {"profile_pic_url": "javascript:alert(1)"},
        {"groups": ["a\nb"]},
        {"groups": [""]},
        {"groups": [f"g{number}" for number in range(1001)]},
    ],
)
async def test_what_cannot_be_a_person_is_refused(registry: RegistryClient, fields: dict[str, Any]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sign_in(registry, **{"subject": "s1", **fields})
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
