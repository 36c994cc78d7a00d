"""Interactive logins against the whole auth service: the parked client, the administrator, several instances."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types

from services.auth import decision_sweep
from services.shared.access.compiled import Alias, AliasKind, ApprovalRule, CompiledPolicy
from services.shared.bus import MemoryBus
from tests.fakes.auth import WAIT, AuthTailnet, Client, auth_tailnet, config_for


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[AuthTailnet]:
    async with auth_tailnet(config_for(tmp_path), instances=2) as running:
        running.registry.add_user("alice")
        running.registry.add_user("bob")
        yield running


async def begin(client: Client) -> pb.LoginNeeded:
    answer = await client.register()
    assert answer.WhichOneof("outcome") == "login_needed", answer
    return answer.login_needed


async def status_of(call: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call  # type: ignore[misc]
    return error.value.code(), error.value.details() or ""


async def pending(tailnet: AuthTailnet) -> list[pb.PendingLogin]:
    return list((await tailnet.stub.ListPendingLogins(pb.ListPendingLoginsRequest())).logins)


class TestOpening:
    @pytest.mark.statement(42)
    async def test_a_new_device_gets_an_absolute_url(self, tailnet: AuthTailnet) -> None:
        login = await begin(tailnet.client())
        assert login.auth_id.startswith("hskey-authreq-") and len(login.auth_id) == 38
        assert login.auth_url == f"https://control.example.com/register/{login.auth_id}"

    async def test_the_same_keys_get_the_same_url(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        assert await begin(client) == await begin(client)

    async def test_the_page_sees_the_device_cleaned(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client(Hostname="a\x00b\u202e c" + "x" * 500, OS="lin\nux", OSVersion="6\x1b[31m")
        login = await begin(client)
        shown = (await tailnet.stub.GetPendingLogin(pb.GetPendingLoginRequest(auth_id=login.auth_id))).login
        assert shown.hostname.startswith("ab cxxx") and len(shown.hostname) == 64
        assert shown.os == "lin ux 6[31m"
        assert shown.machine_key == client.machine.raw and shown.remote_address == "192.0.2.7"
        assert shown.expires_at.ToDatetime(UTC) == tailnet.clock.now() + timedelta(minutes=15)
        assert not shown.decided

    @pytest.mark.parametrize("auth_id", ["", "hskey-authreq-" + "0" * 24, "hskey-authreq-XYZ", "x" * 100_000, "\x00"])
    async def test_an_unknown_login_is_not_found(self, tailnet: AuthTailnet, auth_id: str) -> None:
        call = tailnet.stub.GetPendingLogin(pb.GetPendingLoginRequest(auth_id=auth_id))
        assert (await status_of(call))[0] is grpc.StatusCode.NOT_FOUND

    async def test_a_login_ends_after_its_lifetime(self, tailnet: AuthTailnet) -> None:
        login = await begin(tailnet.client())
        tailnet.clock.advance(timedelta(minutes=15))
        call = tailnet.stub.GetPendingLogin(pb.GetPendingLoginRequest(auth_id=login.auth_id))
        assert (await status_of(call))[0] is grpc.StatusCode.NOT_FOUND
        assert (await status_of(tailnet.approve(login.auth_id, 1)))[0] is grpc.StatusCode.NOT_FOUND

    async def test_a_full_table_is_said_and_not_grown(self, tmp_path: Path) -> None:
        async with auth_tailnet(config_for(tmp_path, register_cache_max_entries=4)) as tailnet:
            for number in range(4):
                await begin(tailnet.client(address=f"192.{number}.2.1"))
            answer = await tailnet.client(address="198.51.100.1").register()
            assert answer.retry_after == 60
            await begin(tailnet.client(address="192.0.2.1"))
            assert len(await pending(tailnet)) == 4


class TestApproval:
    @pytest.mark.statement(43, 44)
    async def test_a_parked_client_is_let_in_by_an_administrator_of_another_instance(
        self, tailnet: AuthTailnet
    ) -> None:
        client = tailnet.client(tailnet.stubs[1])
        login = await begin(client)
        waiting = client.follow_soon(login.auth_url)
        await tailnet.watched(instance=1)
        assert not waiting.done()
        approved = await tailnet.approve(login.auth_id, 1, tailnet.stubs[0])
        answer = await asyncio.wait_for(waiting, WAIT)
        assert answer.admitted.node == approved.node and answer.admitted.user.name == "alice"
        assert approved.node.register_method == node_types.REGISTER_METHOD_CLI

    async def test_a_decision_before_the_wait_is_found(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        await tailnet.approve(login.auth_id, 1)
        assert (await client.follow(login.auth_url)).admitted.node.id == 1

    async def test_a_consumed_login_answers_success_again(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        await tailnet.approve(login.auth_id, 1)
        first, second = await client.follow(login.auth_url), await client.follow(login.auth_url)
        assert first == second
        assert (await client.register()).admitted.node.id == 1

    async def test_approving_twice_is_harmless(self, tailnet: AuthTailnet) -> None:
        login = await begin(tailnet.client())
        assert await tailnet.approve(login.auth_id, 1) == await tailnet.approve(login.auth_id, 1)
        assert len(tailnet.registry.admissions) == 1

    async def test_two_administrators_cannot_give_one_device_to_two_users(self, tailnet: AuthTailnet) -> None:
        login = await begin(tailnet.client())
        calls = [tailnet.approve(login.auth_id, user, stub) for user, stub in enumerate(tailnet.stubs, 1)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, pb.ApproveLoginResponse) for result in results) == 1
        assert len(tailnet.registry.nodes) == 1

    @pytest.mark.statement(52, 53)
    async def test_signing_in_again_keeps_the_node_and_serves_the_old_key_until_then(
        self, tailnet: AuthTailnet
    ) -> None:
        client = tailnet.client()
        login = await begin(client)
        first = (await tailnet.approve(login.auth_id, 1)).node
        client.regenerate()
        login = await begin(client)
        assert tailnet.registry.node_of(client.machine).node_key == client.old.raw
        second = (await tailnet.approve(login.auth_id, 1)).node
        assert second.id == first.id and second.node_key == client.node.raw

    async def test_an_approval_cannot_bring_back_a_deleted_node(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        await tailnet.approve(login.auth_id, 1)
        tailnet.registry.nodes.clear()
        assert (await status_of(tailnet.approve(login.auth_id, 1)))[0] is grpc.StatusCode.FAILED_PRECONDITION
        answer = await client.follow(login.auth_url)
        assert answer.login_needed.auth_id and answer.login_needed.auth_id != login.auth_id
        assert not tailnet.registry.nodes

    async def test_an_unknown_user_leaves_the_login_open(self, tailnet: AuthTailnet) -> None:
        login = await begin(tailnet.client())
        assert await status_of(tailnet.approve(login.auth_id, 99)) == (grpc.StatusCode.NOT_FOUND, "user not found")
        await tailnet.approve(login.auth_id, 2)

    async def test_a_wanted_expiry_and_ephemeral_are_kept(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        soon = tailnet.clock.now() + timedelta(days=2)
        answer = await client.register(expiry=soon, ephemeral=True)
        node = (await tailnet.approve(answer.login_needed.auth_id, 1)).node
        assert node.expiry.ToDatetime(UTC) == soon and node.ephemeral

    async def test_what_the_registry_refuses_opens_the_login_again(self, tailnet: AuthTailnet) -> None:
        login = await begin(tailnet.client())
        tailnet.registry.fail_before.append((grpc.StatusCode.RESOURCE_EXHAUSTED, "no address is left"))
        call = tailnet.approve(login.auth_id, 1)
        assert await status_of(call) == (grpc.StatusCode.FAILED_PRECONDITION, "no address is left")
        await tailnet.approve(login.auth_id, 2)


class TestRejection:
    @pytest.mark.statement(45)
    async def test_a_parked_client_reads_that_it_was_turned_away(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        waiting = client.follow_soon(login.auth_url)
        await tailnet.watched()
        await tailnet.stubs[1].RejectLogin(pb.RejectLoginRequest(auth_id=login.auth_id))
        assert (await asyncio.wait_for(waiting, WAIT)).refused == "login was rejected by an administrator"
        assert (await client.follow(login.auth_url)).refused

    async def test_after_a_rejection_a_new_try_gets_a_new_login(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        await tailnet.stub.RejectLogin(pb.RejectLoginRequest(auth_id=login.auth_id))
        assert (await begin(client)).auth_id != login.auth_id

    async def test_decisions_do_not_change(self, tailnet: AuthTailnet) -> None:
        one, two = await begin(tailnet.client()), await begin(tailnet.client())
        await tailnet.stub.RejectLogin(pb.RejectLoginRequest(auth_id=one.auth_id))
        await tailnet.stub.RejectLogin(pb.RejectLoginRequest(auth_id=one.auth_id))
        await tailnet.approve(two.auth_id, 1)
        precondition = grpc.StatusCode.FAILED_PRECONDITION
        assert (await status_of(tailnet.approve(one.auth_id, 1)))[0] is precondition
        assert (await status_of(tailnet.approve(two.auth_id, 2)))[0] is precondition
        call = tailnet.stub.RejectLogin(pb.RejectLoginRequest(auth_id=two.auth_id))
        assert (await status_of(call))[0] is precondition

    @pytest.mark.statement(58)
    async def test_tags_that_the_user_does_not_own_turn_it_away(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client(RequestTags=["tag:web"])
        login = await begin(client)
        waiting = client.follow_soon(login.auth_url)
        await tailnet.watched()
        text = "requested tags [tag:web] are invalid or not permitted: tagOwners in the policy must list alice for them"
        assert (await status_of(tailnet.approve(login.auth_id, 1)))[1] == text
        assert (await asyncio.wait_for(waiting, WAIT)).refused == text

    async def test_tags_that_the_user_owns_own_the_node(self, tailnet: AuthTailnet) -> None:
        tailnet.policy.compiled = CompiledPolicy(
            tag_owners=(ApprovalRule("tag:web", (Alias(AliasKind.USER, "alice@"),)),)
        )
        login = await begin(tailnet.client(RequestTags=["tag:web"]))
        assert list((await tailnet.approve(login.auth_id, 1)).node.tags) == ["tag:web"]


class TestFollowup:
    @pytest.mark.statement(46)
    @pytest.mark.parametrize(
        "followup",
        ["", "nonsense", "https://control.example.com/register/", "/register/hskey-authreq-" + "0" * 24, "x" * 100_000],
    )
    async def test_an_unknown_followup_gets_a_fresh_url(self, tailnet: AuthTailnet, followup: str) -> None:
        assert (await tailnet.client().follow(followup)).login_needed.auth_url

    @pytest.mark.statement(46)
    async def test_an_expired_followup_gets_a_fresh_url(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        tailnet.clock.advance(timedelta(hours=1))
        fresh = (await client.follow(login.auth_url)).login_needed
        assert fresh.auth_id and fresh.auth_id != login.auth_id

    @pytest.mark.statement(47)
    async def test_another_machine_cannot_wait_for_a_login(self, tailnet: AuthTailnet) -> None:
        client, thief = tailnet.client(), tailnet.client()
        login = await begin(client)
        await tailnet.approve(login.auth_id, 1)
        answer = await thief.follow(login.auth_url)
        assert answer.login_needed.auth_id not in ("", login.auth_id)
        thief.node = client.node
        status = await status_of(thief.follow(login.auth_url))
        assert status[0] is grpc.StatusCode.PERMISSION_DENIED

    async def test_another_node_key_of_the_machine_is_not_the_logins(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        client.regenerate()
        assert (await client.follow(login.auth_url)).login_needed.auth_id != login.auth_id

    async def test_a_followup_never_logs_out(self, tailnet: AuthTailnet) -> None:
        answer = await tailnet.client().follow("nonsense", expiry=datetime.fromtimestamp(123, UTC))
        assert answer.login_needed.auth_id

    async def test_a_waiting_request_that_is_replaced_ends_and_replaces_nothing(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        waiting = client.follow_soon(login.auth_url)
        await tailnet.watched()
        client.regenerate()
        newer = await begin(client)
        assert (await asyncio.wait_for(waiting, WAIT)).refused
        assert [found.auth_id for found in await pending(tailnet)] == [newer.auth_id]

    async def test_who_hangs_up_leaves_nothing_behind(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        waiting = client.follow_soon(login.auth_url)
        await tailnet.watched()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        async with asyncio.timeout(WAIT):
            while tailnet.services[0].parked:  # noqa: ASYNC110  there is nothing to wait on
                await asyncio.sleep(0)
        assert len(await pending(tailnet)) == 1

    async def test_the_newest_few_may_wait_for_one_login(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        waiting = [client.follow_soon(login.auth_url) for _ in range(4)]
        await tailnet.watched(4)
        waiting.append(client.follow_soon(login.auth_url))
        assert (await status_of(waiting.pop(0)))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        await tailnet.watched(4)
        await tailnet.approve(login.auth_id, 1)
        assert all(answer.admitted.node.id == 1 for answer in await asyncio.gather(*waiting))


class TestLoss:
    async def test_news_lost_on_the_way_are_made_good_by_the_next_reconnection(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client(tailnet.stubs[1])
        login = await begin(client)
        waiting = client.follow_soon(login.auth_url)
        await tailnet.watched(instance=1)
        publish, tailnet.bus.publish = tailnet.bus.publish, _lose  # type: ignore[method-assign]
        await tailnet.approve(login.auth_id, 1, tailnet.stubs[0])
        tailnet.bus.publish = publish  # type: ignore[method-assign]
        tailnet.bus.interrupt()
        assert (await asyncio.wait_for(waiting, WAIT)).admitted.node.id == 1

    async def test_without_any_news_the_table_is_looked_at_now_and_then(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(decision_sweep, "SWEEP_SECONDS", 0.01)
        monkeypatch.setattr(MemoryBus, "publish", lambda *_: _lose("", b""))
        async with auth_tailnet(config_for(tmp_path), instances=2) as tailnet:
            tailnet.registry.add_user("alice")
            client = tailnet.client(tailnet.stubs[1])
            login = await begin(client)
            waiting = client.follow_soon(login.auth_url)
            await tailnet.watched(instance=1)
            await tailnet.approve(login.auth_id, 1, tailnet.stubs[0])
            assert (await asyncio.wait_for(waiting, WAIT)).admitted.node.id == 1

    async def test_a_crash_between_decision_and_admission_is_healed_by_the_client(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        tailnet.registry.fail_before.append((grpc.StatusCode.UNAVAILABLE, "gone"))
        assert (await status_of(tailnet.approve(login.auth_id, 1)))[0] is grpc.StatusCode.UNAVAILABLE
        assert not tailnet.registry.nodes
        assert (await client.follow(login.auth_url)).admitted.user.name == "alice"

    async def test_or_by_the_administrator_and_for_the_same_user_only(self, tailnet: AuthTailnet) -> None:
        login = await begin(tailnet.client())
        tailnet.registry.fail_after.append((grpc.StatusCode.UNAVAILABLE, "gone"))
        assert (await status_of(tailnet.approve(login.auth_id, 1)))[0] is grpc.StatusCode.UNAVAILABLE
        assert (await status_of(tailnet.approve(login.auth_id, 2)))[0] is grpc.StatusCode.FAILED_PRECONDITION
        await tailnet.approve(login.auth_id, 1)
        assert len(tailnet.registry.nodes) == 1

    async def test_or_by_the_client_that_starts_again(self, tailnet: AuthTailnet) -> None:
        client = tailnet.client()
        login = await begin(client)
        tailnet.registry.fail_before.append((grpc.StatusCode.UNAVAILABLE, "gone"))
        await status_of(tailnet.approve(login.auth_id, 1))
        assert (await client.register()).admitted.user.name == "alice"

    async def test_pending_logins_outlive_a_restart(self, tmp_path: Path) -> None:
        async with auth_tailnet(config_for(tmp_path)) as tailnet:
            tailnet.registry.add_user("alice")
            client = tailnet.client()
            login = await begin(client)
            await tailnet.services[0].stop()
            client.stub = await tailnet.start_instance()
            waiting = client.follow_soon(login.auth_url)
            await tailnet.watched(instance=1)
            await tailnet.approve(login.auth_id, 1, client.stub)
            assert (await asyncio.wait_for(waiting, WAIT)).admitted.node.id == 1


async def _lose(topic: str, payload: bytes) -> None:
    return None
