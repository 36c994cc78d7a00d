"""Nodes that are known already: asked again, logged out, expired, with other keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest
from smartscale.auth.v1 import auth_pb2 as pb

from tests.fakes.auth import AuthTailnet
from tests.flow.auth.answers import admitted

LOGOUT = datetime.fromtimestamp(123, UTC)  # what clients send to log out
NO_WISH = datetime(1, 1, 1, tzinfo=UTC)  # Go's zero time


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
