"""Joining by a pre-auth key, and the tags that it or the device brings."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from smartscale.auth.v1 import auth_pb2 as pb

from services.shared.access.compiled import Alias, AliasKind, ApprovalRule, CompiledPolicy
from tests.fakes.auth import AuthTailnet
from tests.flow.auth.answers import admitted


def owned_by_alice(tag: str) -> CompiledPolicy:
    return CompiledPolicy(tag_owners=(ApprovalRule(tag, (Alias(AliasKind.USER, "alice@"),)),))


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
