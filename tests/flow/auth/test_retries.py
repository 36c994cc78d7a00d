"""Crashes between two steps, and crowds: what is asked again is done once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import pytest
from smartscale.auth.v1 import auth_pb2 as pb

from tests.fakes.auth import AuthTailnet
from tests.flow.auth.answers import admitted


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
