"""Joining by a pre-auth key, and the tags that it or the device brings."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.types.v1 import key_pb2 as types

from services.shared.access.compiled import Alias, AliasKind, ApprovalRule, CompiledPolicy
from tests.fakes.auth import AuthTailnet
from tests.flow.auth.answers import admitted


def owned_by_alice(tag: str) -> CompiledPolicy:
    return CompiledPolicy(tag_owners=(ApprovalRule(tag, (Alias(AliasKind.USER, "alice@"),)),))


async def key_with_address(tailnet: AuthTailnet, ipv4: str, **fields: object) -> str:
    """A key whose node gets an address."""
    wanted = types.Key(kind=types.KEY_KIND_AUTH, user_id=1, ipv4=ipv4, ipv6="fd7a:115c:a1e0::77", **fields)
    answer = await tailnet.stub.CreateKey(pb.CreateKeyRequest(key=wanted))
    assert (answer.key.ipv4, answer.key.ipv6) == (ipv4, "fd7a:115c:a1e0::77")
    return str(answer.secret)


class TestAddresses:
    async def test_a_key_gives_its_node_the_addresses(self, tailnet: AuthTailnet) -> None:
        key = await key_with_address(tailnet, "100.64.77.7")
        (listed,) = (await tailnet.stub.ListKeys(pb.ListKeysRequest())).keys
        assert listed.ipv4 == "100.64.77.7"
        node = (await tailnet.client().register(auth_key=key)).admitted.node
        assert (node.ipv4, node.ipv6) == ("100.64.77.7", "fd7a:115c:a1e0::77")

    async def test_an_address_that_the_registry_refuses_makes_no_key(self, tailnet: AuthTailnet) -> None:
        await tailnet.client().register(auth_key=await key_with_address(tailnet, "100.64.77.7"))
        with pytest.raises(grpc.aio.AioRpcError, match="another node has this address") as refused:
            await key_with_address(tailnet, "100.64.77.7")
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.aio.AioRpcError, match="a reusable key cannot give it"):
            await key_with_address(tailnet, "100.64.77.8", reusable=True)
        for kind in (types.KEY_KIND_API, types.KEY_KIND_OAUTH_CLIENT):
            with pytest.raises(grpc.aio.AioRpcError, match="only a key that admits nodes"):
                wanted = types.Key(kind=kind, ipv4="100.64.77.8", scopes=["all"])
                await tailnet.stub.CreateKey(pb.CreateKeyRequest(key=wanted))

    async def test_a_refusal_at_admission_is_the_clients_answer_and_leaves_the_key_unused(
        self, tailnet: AuthTailnet
    ) -> None:
        key = await key_with_address(tailnet, "100.64.77.7")
        text = "ipv4: another node, laptop (id 7), has this address"
        tailnet.registry.fail_before.append((grpc.StatusCode.ALREADY_EXISTS, text))
        assert (await tailnet.client().register(auth_key=key)).refused == text
        assert (await tailnet.client().register(auth_key=key)).admitted.node.ipv4 == "100.64.77.7"


class TestAuthKey:
    @pytest.mark.statement(48)
    async def test_a_valid_key_lets_a_node_in(self, tailnet: AuthTailnet) -> None:
        answer = await tailnet.client().register(auth_key=await tailnet.key(user=1))
        assert answer.admitted.user.name == "alice"
        assert answer.admitted.node.user_id == 1
        (key,) = (await tailnet.stub.ListPreAuthKeys(pb.ListPreAuthKeysRequest())).pre_auth_keys
        assert key.used and answer.admitted.node.pre_auth_key_id == key.id

    @pytest.mark.statement(48)
    @pytest.mark.parametrize(
        "text", ["nonsense", "hskey-auth-abcdefghijkl-" + "0" * 64, "tskey-auth-abc", "\x00", "x" * 100_000, "ü"]
    )
    async def test_a_key_that_is_none_is_refused_with_a_text(self, tailnet: AuthTailnet, text: str) -> None:
        answer = await tailnet.client().register(auth_key=text)
        assert answer.refused == "invalid auth key"

    async def test_a_wrong_secret_is_refused_like_an_unknown_key(self, tailnet: AuthTailnet) -> None:
        key = await tailnet.key(user=1)
        wrong = key[:-1] + ("0" if key[-1] != "0" else "1")
        assert (await tailnet.client().register(auth_key=wrong)).refused == "invalid auth key"
        await admitted(await tailnet.client().register(auth_key=key))

    @pytest.mark.statement(48)
    async def test_an_expired_key_is_refused(self, tailnet: AuthTailnet) -> None:
        key = await tailnet.key(user=1)
        tailnet.clock.advance(timedelta(hours=1))
        assert (await tailnet.client().register(auth_key=key)).refused == "auth key expired"

    @pytest.mark.statement(48)
    async def test_a_used_key_is_refused(self, tailnet: AuthTailnet) -> None:
        key = await tailnet.key(user=1)
        await admitted(await tailnet.client().register(auth_key=key))
        assert (await tailnet.client().register(auth_key=key)).refused == "auth key was used already"
        assert len(tailnet.registry.nodes) == 1

    async def test_a_reusable_key_lets_many_in(self, tailnet: AuthTailnet) -> None:
        key = await tailnet.key(user=1, reusable=True)
        assert {await admitted(await tailnet.client().register(auth_key=key)) for _ in range(3)} == {1, 2, 3}

    async def test_of_machines_that_race_for_a_key_exactly_one_wins(self, tailnet: AuthTailnet) -> None:
        key = await tailnet.key(user=1)
        answers = await asyncio.gather(*(tailnet.client().register(auth_key=key) for _ in range(6)))
        assert sorted(a.WhichOneof("outcome") for a in answers) == ["admitted"] + ["refused"] * 5
        assert len(tailnet.registry.nodes) == 1

    async def test_machines_that_race_on_two_instances_too(self, tailnet: AuthTailnet) -> None:
        other = await tailnet.start_instance()
        key = await tailnet.key(user=1)
        clients = [tailnet.client(stub) for stub in (tailnet.stub, other) * 3]
        answers = await asyncio.gather(*(client.register(auth_key=key) for client in clients))
        assert [a.WhichOneof("outcome") for a in answers].count("admitted") == 1

    async def test_a_key_of_a_deleted_user_is_refused_and_stays_unused(self, tailnet: AuthTailnet) -> None:
        key = await tailnet.key(user=1)
        del tailnet.registry.users[1]
        assert (await tailnet.client().register(auth_key=key)).refused == "user not found"
        (listed,) = (await tailnet.stub.ListPreAuthKeys(pb.ListPreAuthKeysRequest())).pre_auth_keys
        assert not listed.used

    @pytest.mark.statement(60)
    async def test_a_key_or_a_wish_makes_a_node_ephemeral(self, tailnet: AuthTailnet) -> None:
        by_key = await tailnet.client().register(auth_key=await tailnet.key(user=1, ephemeral=True))
        by_wish = await tailnet.client().register(auth_key=await tailnet.key(user=1), ephemeral=True)
        assert by_key.admitted.node.ephemeral and by_wish.admitted.node.ephemeral


class TestTags:
    async def test_a_tagged_keys_tags_own_the_node(self, tailnet: AuthTailnet) -> None:
        answer = await tailnet.client().register(auth_key=await tailnet.key(tags=["tag:b", "tag:a", "tag:b"]))
        assert list(answer.admitted.node.tags) == ["tag:a", "tag:b"]
        assert not answer.admitted.HasField("user")

    @pytest.mark.statement(58)
    @pytest.mark.parametrize(
        "tag", ["web", "tag:", "tag:1a", "tag:a b", "TAG:a", "tag:ä", "tag:a\n", "tag:" + "a" * 200]
    )
    async def test_a_tag_that_is_none_is_refused(self, tailnet: AuthTailnet, tag: str) -> None:
        client = tailnet.client(RequestTags=[tag])
        answer = await client.register(auth_key=await tailnet.key(user=1, reusable=True))
        assert answer.refused

    @pytest.mark.statement(58)
    async def test_tags_that_the_user_does_not_own_are_refused(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client(RequestTags=["tag:web"])
        answer = await client.register(auth_key=await tailnet.key(user=1))
        assert (
            answer.refused == "requested tags [tag:web] are invalid or not permitted: "
            "tagOwners in the policy must list alice for them"
        )
        assert not tailnet.registry.nodes

    async def test_tags_that_the_user_owns_are_given(self, tailnet: AuthTailnet) -> None:
        tailnet.policy.compiled = owned_by_alice("tag:web")
        alice = await tailnet.client(RequestTags=["tag:web"]).register(auth_key=await tailnet.key(user=1))
        bob = await tailnet.client(RequestTags=["tag:web"]).register(auth_key=await tailnet.key(user=2))
        assert list(alice.admitted.node.tags) == ["tag:web"]
        assert bob.refused

    async def test_a_tagged_key_and_wanted_tags_do_not_go_together(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client(RequestTags=["tag:web"])
        assert (await client.register(auth_key=await tailnet.key(tags=["tag:web"]))).refused
