"""Registrations against the whole auth service: each row of the protocol's state table that needs no sign-in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from smartscale.auth.v1 import auth_pb2 as pb

from services.shared.access.compiled import Alias, AliasKind, Approver, CompiledPolicy
from services.shared.rpc import with_machine_key
from tests.fakes.auth import AuthTailnet, auth_tailnet, config_for

LOGOUT = datetime.fromtimestamp(123, UTC)  # what clients send to log out
NO_WISH = datetime(1, 1, 1, tzinfo=UTC)  # Go's zero time


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[AuthTailnet]:
    async with auth_tailnet(config_for(tmp_path)) as running:
        running.registry.add_user("alice")
        running.registry.add_user("bob")
        yield running


def owned_by_alice(tag: str) -> CompiledPolicy:
    return CompiledPolicy(tag_owners=(Approver(tag, (Alias(AliasKind.USER, "alice@"),)),))


async def admitted(answer: pb.RegisterResponse) -> int:
    assert answer.WhichOneof("outcome") == "admitted", answer
    return int(answer.admitted.node.id)


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


class TestCrash:
    async def test_between_claim_and_admission_the_machine_comes_back_with_a_new_node_key(
        self, tailnet: AuthTailnet
    ) -> None:
        key, client = await tailnet.key(user=1), tailnet.client()
        tailnet.registry.fail_before.append((grpc.StatusCode.UNAVAILABLE, "gone"))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await client.register(auth_key=key)
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        client.regenerate()
        await admitted(await client.register(auth_key=key))

    async def test_after_admission_the_same_request_finds_its_node(self, tailnet: AuthTailnet) -> None:
        key, client = await tailnet.key(user=1), tailnet.client()
        tailnet.registry.fail_after.append((grpc.StatusCode.UNAVAILABLE, "gone"))
        with pytest.raises(grpc.aio.AioRpcError):
            await client.register(auth_key=key)
        await admitted(await client.register(auth_key=key))
        assert len(tailnet.registry.nodes) == 1

    async def test_a_claim_keeps_others_out_only_for_its_lease(self, tailnet: AuthTailnet) -> None:
        key = await tailnet.key(user=1)
        tailnet.registry.fail_before.append((grpc.StatusCode.UNAVAILABLE, "gone"))
        with pytest.raises(grpc.aio.AioRpcError):
            await tailnet.client().register(auth_key=key)
        other = tailnet.client()
        assert (await other.register(auth_key=key)).refused == "auth key was used already"
        tailnet.clock.advance(61)
        await admitted(await other.register(auth_key=key))

    async def test_a_lapsed_claim_whose_node_is_in_was_a_use(self, tailnet: AuthTailnet) -> None:
        key = await tailnet.key(user=1)
        tailnet.registry.fail_after.append((grpc.StatusCode.UNAVAILABLE, "gone"))
        with pytest.raises(grpc.aio.AioRpcError):
            await tailnet.client().register(auth_key=key)
        tailnet.clock.advance(3000)
        assert (await tailnet.client().register(auth_key=key)).refused == "auth key was used already"
        assert len(tailnet.registry.nodes) == 1

    async def test_a_client_that_asks_twice_at_once_is_let_in_twice_as_one_node(self, tailnet: AuthTailnet) -> None:
        other = await tailnet.start_instance()
        key, client = await tailnet.key(user=1), tailnet.client()
        twin = replace(client, stub=other)
        answers = await asyncio.gather(*(asking.register(auth_key=key) for asking in (client, twin, client, twin)))
        assert {await admitted(answer) for answer in answers} == {1}


class TestKnownNode:
    @pytest.mark.statement(49)
    async def test_a_restart_with_a_used_or_expired_key_is_let_in(self, tailnet: AuthTailnet) -> None:
        key, client = await tailnet.key(user=1), tailnet.client()
        first = await admitted(await client.register(auth_key=key))
        tailnet.clock.advance(timedelta(days=2))
        assert await admitted(await client.register(auth_key=key)) == first
        assert await admitted(await client.register(auth_key="nonsense")) == first
        assert await admitted(await client.register()) == first
        assert len(tailnet.registry.admissions) == 1

    @pytest.mark.statement(49)
    async def test_a_restart_does_not_spend_a_fresh_key(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        await client.register(auth_key=await tailnet.key(user=1))
        fresh = await tailnet.key(user=1)
        await admitted(await client.register(auth_key=fresh))
        await admitted(await tailnet.client().register(auth_key=fresh))

    async def test_a_tagged_key_turns_a_users_node_into_a_tagged_one(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        first = await admitted(await client.register(auth_key=await tailnet.key(user=1)))
        answer = await client.register(auth_key=await tailnet.key(tags=["tag:web"]))
        assert await admitted(answer) == first and list(answer.admitted.node.tags) == ["tag:web"]

    @pytest.mark.statement(50)
    async def test_an_expired_node_needs_a_new_key(self, tailnet: AuthTailnet) -> None:
        key, client = await tailnet.key(user=1), tailnet.client()
        await client.register(auth_key=key)
        tailnet.registry.node_of(client.machine).expired = True
        for auth_key in ("", key, "nonsense"):
            answer = await client.register(auth_key=auth_key)
            assert answer.WhichOneof("outcome") == "node_key_expired" and answer.node_key_expired

    async def test_an_expired_node_comes_back_by_a_usable_key(self, tailnet: AuthTailnet) -> None:
        key, client = await tailnet.key(user=1, reusable=True), tailnet.client()
        first = await admitted(await client.register(auth_key=key))
        tailnet.registry.node_of(client.machine).expired = True
        assert await admitted(await client.register(auth_key=key)) == first

    @pytest.mark.statement(51)
    async def test_a_new_node_key_is_never_called_expired(self, tailnet: AuthTailnet) -> None:
        key, client = await tailnet.key(user=1), tailnet.client()
        await client.register(auth_key=key)
        tailnet.registry.node_of(client.machine).expired = True
        client.regenerate()
        assert (await client.register(auth_key=key)).refused == "auth key was used already"
        assert (await client.register()).WhichOneof("outcome") == "login_needed"

    @pytest.mark.statement(52)
    async def test_rotation_by_key_keeps_the_node(self, tailnet: AuthTailnet) -> None:
        key, client = await tailnet.key(user=1, reusable=True), tailnet.client()
        first = await admitted(await client.register(auth_key=key))
        client.regenerate()
        assert await admitted(await client.register(auth_key=key)) == first
        assert tailnet.registry.admissions[-1].old_node_key == client.old.raw

    async def test_an_unknown_old_key_is_no_obstacle(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        client.regenerate()
        await admitted(await client.register(auth_key=await tailnet.key(user=1)))

    @pytest.mark.statement(38, 39)
    async def test_another_machines_node_key_is_refused(self, tailnet: AuthTailnet) -> None:
        victim, thief = tailnet.client(), tailnet.client()
        key = await tailnet.key(user=1, reusable=True)
        await victim.register(auth_key=key)
        thief.node = victim.node
        for fields in ({}, {"auth_key": key}, {"expiry": LOGOUT}):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await thief.register(**fields)
            assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert not tailnet.registry.node_of(victim.machine).expired

    @pytest.mark.statement(39)
    async def test_another_machines_old_node_key_moves_nothing(self, tailnet: AuthTailnet) -> None:
        victim, thief = tailnet.client(), tailnet.client()
        key = await tailnet.key(user=1, reusable=True)
        first = await admitted(await victim.register(auth_key=key))
        thief.old = victim.node
        assert await admitted(await thief.register(auth_key=key)) != first
        assert tailnet.registry.node_of(victim.machine).node_key == victim.node.raw

    @pytest.mark.statement(40)
    async def test_one_machine_may_hold_nodes_of_several_users(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        await admitted(await client.register(auth_key=await tailnet.key(user=1)))
        client.regenerate()
        await admitted(await client.register(auth_key=await tailnet.key(user=2)))
        assert {node.user_id for node in tailnet.registry.nodes.values()} == {1, 2}


class TestExpiry:
    @pytest.mark.statement(54)
    async def test_a_past_expiry_logs_out_before_any_key_is_looked_at(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        await client.register(auth_key=await tailnet.key(user=1))
        fresh = await tailnet.key(user=1)
        answer = await client.register(expiry=LOGOUT, auth_key=fresh)
        assert answer.logged_out
        node = tailnet.registry.node_of(client.machine)
        assert node.expired and node.expiry.ToDatetime(UTC) == tailnet.clock.now()
        await admitted(await tailnet.client().register(auth_key=fresh))

    @pytest.mark.statement(54)
    async def test_logout_deletes_an_ephemeral_node(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        await client.register(auth_key=await tailnet.key(user=1, ephemeral=True))
        assert (await client.register(expiry=LOGOUT)).logged_out
        assert not tailnet.registry.nodes

    async def test_logout_of_nobody_is_answered_alike(self, tailnet: AuthTailnet) -> None:
        assert (await tailnet.client().register(expiry=LOGOUT)).logged_out

    async def test_logout_forgets_the_pending_login(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        await client.register()
        assert (await client.register(expiry=LOGOUT)).logged_out
        assert not (await tailnet.stub.ListPendingLogins(pb.ListPendingLoginsRequest())).logins

    @pytest.mark.statement(55)
    async def test_the_zero_time_is_no_wish(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        first = await admitted(await client.register(auth_key=await tailnet.key(user=1), expiry=NO_WISH))
        assert await admitted(await client.register(expiry=NO_WISH)) == first
        assert not tailnet.registry.admissions[0].HasField("expiry")

    @pytest.mark.statement(56)
    async def test_an_expiry_shortens_and_never_lengthens(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        soon, late = (tailnet.clock.now() + timedelta(days=days) for days in (3, 9))
        first = await admitted(await client.register(auth_key=await tailnet.key(user=1), expiry=late))
        answer = await client.register(expiry=soon)
        assert await admitted(answer) == first
        assert answer.admitted.node.expiry.ToDatetime(UTC) == soon
        assert (await client.register(expiry=late)).refused == "extending a key is not allowed"
        assert await admitted(await client.register(expiry=soon)) == first

    @pytest.mark.statement(56)
    async def test_a_new_node_cannot_ask_for_more_than_the_default(self, tailnet: AuthTailnet) -> None:
        far = tailnet.clock.now() + timedelta(days=10_000)
        await admitted(await tailnet.client().register(auth_key=await tailnet.key(user=1), expiry=far))
        assert not tailnet.registry.admissions[0].HasField("expiry")

    @pytest.mark.statement(59)
    async def test_a_tagged_node_is_not_given_an_end(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        await client.register(auth_key=await tailnet.key(tags=["tag:web"]))
        answer = await client.register(expiry=tailnet.clock.now() + timedelta(days=3))
        await admitted(answer)
        assert not answer.admitted.node.HasField("expiry")


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
        assert answer.refused == "requested tags [tag:web] are invalid or not permitted"
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


class TestStorms:
    @pytest.mark.statement(61, 62)
    async def test_a_machine_that_storms_is_told_when_to_come_back(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        answers = []
        for _ in range(70):
            client.regenerate()
            answers.append(await client.register(auth_key="nonsense"))
        assert answers[0].refused and answers[-1].retry_after == 1
        tailnet.clock.advance(1)
        assert (await client.register(auth_key="nonsense")).refused

    @pytest.mark.statement(62)
    async def test_a_storm_of_new_node_keys_leaves_one_pending_login(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        for _ in range(50):
            client.regenerate()
            assert (await client.register()).login_needed.auth_id
        assert len((await tailnet.stub.ListPendingLogins(pb.ListPendingLoginsRequest())).logins) == 1

    @pytest.mark.statement(61)
    async def test_a_network_of_failing_machines_is_slowed_and_its_known_nodes_are_not(
        self, tailnet: AuthTailnet
    ) -> None:
        known = tailnet.client()
        await known.register(auth_key=await tailnet.key(user=1))
        answers = [await tailnet.client().register(auth_key="nonsense") for _ in range(310)]
        assert 1 <= answers[-1].retry_after <= 3600
        assert (await tailnet.client().register()).retry_after
        await admitted(await known.register())
        assert (await tailnet.client(address="2001:db8::1").register()).login_needed.auth_id


class TestBadInput:
    @pytest.mark.parametrize(
        "fields",
        [
            {"node_key": b""},
            {"node_key": bytes(31)},
            {"node_key": bytes(32)},
            {"old_node_key": bytes(5)},
            {"hostinfo": b"{"},
            {"hostinfo": b"[]"},
            {"hostinfo": b"[" * 60_000},
            {"hostinfo": b'{"RequestTags":"tag:a"}'},
            {"hostinfo": b'{"RequestTags":[1]}'},
            {"hostinfo": b'"' + b"x" * (1 << 20) + b'"'},
        ],
        ids=lambda fields: f"{next(iter(fields))}-{len(next(iter(fields.values())))}",
    )
    async def test_what_no_client_sends_is_refused(
        self, tailnet: AuthTailnet, fields: dict[str, bytes], caplog: pytest.LogCaptureFixture
    ) -> None:
        try:
            answer = await tailnet.client().register(**fields)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        else:
            assert answer.refused
        assert not tailnet.registry.nodes
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]

    async def test_an_instant_out_of_range_is_refused(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        request = client.request()
        request.expiry.seconds = 1 << 60
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await tailnet.stub.Register(request, metadata=with_machine_key(client.machine))
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    async def test_a_call_without_machine_key_is_refused(self, tailnet: AuthTailnet) -> None:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await tailnet.stub.Register(tailnet.client().request())
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
