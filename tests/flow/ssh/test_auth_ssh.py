"""SSH sessions that wait for a person, at the auth service's own calls, beside a registry and over its own tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types

from services.auth import decision_sweep
from services.auth.usecases import ssh_checks
from services.shared.bus import MemoryBus
from services.shared.keys import MachineKey
from services.shared.rpc import with_machine_key
from tests.fakes.auth import AuthTailnet, auth_tailnet, config_for

HOUR = timedelta(hours=1)
DAY = 24 * 3600
NOBODY = "hskey-authreq-" + "f" * 24


@dataclass
class Lab:
    """A tailnet with nodes whose SSH servers ask."""

    tailnet: AuthTailnet

    def node(self, number: int, user: int = 0, **fields: Any) -> node_types.Node:
        """A node that the registry has."""
        made = node_types.Node(
            id=number, machine_key=bytes([number]) * 32, node_key=bytes([100 + number]) * 32, user_id=user,
            given_name=f"node{number}", **fields,
        )  # fmt: skip
        self.tailnet.registry.nodes[number] = made
        return made

    async def ask(self, source: int, to: int, instance: int = 0, machine: int = 0, **fields: Any) -> pb.SshVerdict:
        """A destination asks whether a session may begin."""
        request = pb.CheckSshRequest(question=_question(source, to, fields))
        answer = await self.tailnet.stubs[instance].CheckSsh(request, metadata=_as(machine or to), timeout=10)
        return answer.verdict  # type: ignore[no-any-return]

    async def wait(
        self, source: int, to: int, auth_id: str, instance: int = 0, machine: int = 0, **fields: Any
    ) -> pb.SshVerdict:
        """A destination waits for a word."""
        request = pb.AwaitSshCheckRequest(question=_question(source, to, fields), auth_id=auth_id)
        answer = await self.tailnet.stubs[instance].AwaitSshCheck(request, metadata=_as(machine or to), timeout=20)
        return answer.verdict  # type: ignore[no-any-return]

    async def waiting(self, source: int, to: int, **fields: Any) -> str:
        """The auth id of a session that waits."""
        verdict = await self.ask(source, to, **fields)
        assert verdict.HasField("waiting"), verdict
        return str(verdict.waiting.auth_id)

    async def hold(self, source: int, to: int, auth_id: str, **fields: Any) -> asyncio.Task[pb.SshVerdict]:
        """The same in the background, once it is held."""
        before = sum(service.parked for service in self.tailnet.services)
        task = asyncio.create_task(self.wait(source, to, auth_id, **fields))
        async with asyncio.timeout(10):
            while sum(service.parked for service in self.tailnet.services) == before and not task.done():  # noqa: ASYNC110  nothing says so
                await asyncio.sleep(0)
        return task

    async def decide(self, auth_id: str, approve: bool = True, instance: int = 0, actor: str = "api key x") -> Any:
        """An administrator decides."""
        request = pb.DecideSshCheckRequest(auth_id=auth_id, approve=approve, actor=actor)
        return (await self.tailnet.stubs[instance].DecideSshCheck(request, timeout=10)).check


def _question(source: int, to: int, fields: dict[str, Any]) -> pb.SshQuestion:
    return pb.SshQuestion(
        **{"source_id": source, "destination_id": to, "local_user": "root", "period_seconds": 3600, **fields}
    )


def _as(machine: int) -> Any:
    return with_machine_key(MachineKey(bytes([machine]) * 32))


async def _status(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code().name, refused.value.details() or ""


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with auth_tailnet(config_for(tmp_path), instances=2) as tailnet:
        made = Lab(tailnet)
        alice = tailnet.registry.add_user("alice", email="alice@example.com")
        bob = tailnet.registry.add_user("bob")
        made.node(1, alice)
        made.node(2, tags=["tag:web"])
        made.node(3, tags=["tag:web"])
        made.node(4, bob)
        yield made


async def test_a_session_waits_until_a_person_says_yes_and_then_others_begin_at_once(lab: Lab) -> None:
    verdict = await lab.ask(1, 2)
    auth_id = verdict.waiting.auth_id
    assert verdict.waiting.url == f"https://control.example.com/auth/{auth_id}"
    held = await lab.hold(1, 2, auth_id)
    assert (await lab.decide(auth_id)).approved
    assert (await held).accepted and (await lab.ask(1, 2)).accepted
    assert (await lab.ask(1, 2, local_user="ann")).accepted
    assert (await lab.wait(1, 2, auth_id)).accepted


async def test_a_yes_wakes_who_waits_at_another_instance(lab: Lab) -> None:
    auth_id = await lab.waiting(1, 2)
    held = await lab.hold(1, 2, auth_id, instance=1)
    await lab.decide(auth_id, instance=0)
    async with asyncio.timeout(5):
        assert (await held).accepted
    assert (await lab.ask(1, 2, instance=1)).accepted


async def test_a_yes_that_the_bus_loses_is_found_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_sweep, "SWEEP_SECONDS", 0.05)
    async with auth_tailnet(config_for(tmp_path)) as tailnet:
        first_bus, tailnet.bus = tailnet.bus, MemoryBus()
        await tailnet.start_instance()
        lab = Lab(tailnet)
        lab.node(1, tailnet.registry.add_user("alice"))
        lab.node(2, tags=["tag:web"])
        auth_id = await lab.waiting(1, 2)
        held = await lab.hold(1, 2, auth_id, instance=1)
        await lab.decide(auth_id, instance=0)
        async with asyncio.timeout(5):
            assert (await held).accepted
        await first_bus.close()


async def test_a_wait_goes_on_at_an_instance_that_started_later(tmp_path: Path) -> None:
    async with auth_tailnet(config_for(tmp_path)) as tailnet:
        lab = Lab(tailnet)
        lab.node(1, tailnet.registry.add_user("alice"))
        lab.node(2, tags=["tag:web"])
        auth_id = await lab.waiting(1, 2)
        held = await lab.hold(1, 2, auth_id)
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        await tailnet.services.pop().stop()
        tailnet.stubs.clear()
        await tailnet.start_instance()
        held = await lab.hold(1, 2, auth_id)
        await lab.decide(auth_id)
        assert (await held).accepted
        await tailnet.services.pop().stop()
        tailnet.stubs.clear()
        await tailnet.start_instance()
        assert (await lab.ask(1, 2)).accepted


async def test_a_word_holds_for_the_period_that_the_policy_names_now(lab: Lab) -> None:
    await lab.decide(await lab.waiting(1, 2))
    lab.tailnet.clock.advance(1800)
    assert (await lab.ask(1, 2)).accepted
    assert (await lab.ask(1, 2, period_seconds=1800)).HasField("waiting")
    lab.tailnet.clock.advance(1800)
    assert (await lab.ask(1, 2)).HasField("waiting")
    assert (await lab.ask(1, 2, period_seconds=DAY)).accepted
    lab.tailnet.clock.advance(8 * DAY)
    assert (await lab.ask(1, 2, period_seconds=2**32 - 1)).HasField("waiting")


async def test_a_word_holds_for_one_destination_unless_the_rule_names_no_period(lab: Lab) -> None:
    await lab.decide(await lab.waiting(1, 2))
    assert (await lab.ask(1, 3)).HasField("waiting")
    assert (await lab.ask(1, 3, everywhere=True)).HasField("waiting")
    await lab.decide(await lab.waiting(1, 3, everywhere=True, local_user="ann"))
    lab.node(5, tags=["tag:web"])
    assert (await lab.ask(1, 5, everywhere=True)).accepted
    assert (await lab.ask(1, 5)).HasField("waiting")
    assert (await lab.ask(4, 5, everywhere=True)).HasField("waiting")


async def test_one_yes_lets_all_sessions_begin_that_wait_for_the_same_word(lab: Lab) -> None:
    wide = {"everywhere": True}
    first, second = await lab.waiting(1, 2, **wide), await lab.waiting(1, 3, **wide)
    assert first != second and await lab.waiting(1, 2, **wide) == first
    held = [await lab.hold(1, to, auth_id, **wide) for to, auth_id in ((2, first), (2, first), (3, second))]
    await lab.decide(first)
    async with asyncio.timeout(5):
        assert all(verdict.accepted for verdict in await asyncio.gather(*held))


async def test_a_rule_that_asks_always_wants_a_word_for_each_session(lab: Lab) -> None:
    always = {"period_seconds": 0}
    first, second = await lab.waiting(1, 2, **always), await lab.waiting(1, 2, **always)
    assert first != second
    one, other = await lab.hold(1, 2, first, **always), await lab.hold(1, 2, second, **always)
    await lab.decide(first)
    assert (await one).accepted and not other.done()
    assert (await lab.ask(1, 2, **always)).HasField("waiting")
    await lab.decide(second, approve=False)
    assert (await other).refused == ssh_checks.REFUSED


async def test_a_policy_that_asks_always_by_now_takes_no_shared_word(lab: Lab) -> None:
    shared = await lab.waiting(1, 2)
    await lab.decide(shared)
    assert (await lab.wait(1, 2, shared)).accepted
    again = await lab.wait(1, 2, shared, period_seconds=0)
    assert again.waiting.auth_id not in ("", shared)


async def test_a_no_is_told_to_who_waits_and_stays(lab: Lab) -> None:
    auth_id = await lab.waiting(1, 2)
    held = await lab.hold(1, 2, auth_id, instance=1)
    await lab.decide(auth_id, approve=False)
    assert (await held).refused == ssh_checks.REFUSED
    assert (await lab.wait(1, 2, auth_id)).refused == ssh_checks.REFUSED
    await lab.decide(auth_id, approve=False)
    assert await _status(lab.decide(auth_id)) == ("FAILED_PRECONDITION", "SSH session was refused already")
    assert await lab.waiting(1, 2) != auth_id


async def test_a_yes_may_be_said_twice_and_not_taken_back_by_a_no(lab: Lab) -> None:
    auth_id = await lab.waiting(1, 2)
    for instance in (0, 1):
        assert (await lab.decide(auth_id, instance=instance)).approved
    assert await _status(lab.decide(auth_id, approve=False)) == (
        "FAILED_PRECONDITION", "SSH session was approved already",
    )  # fmt: skip


async def test_a_session_that_nobody_approves_in_time_is_refused_and_a_new_one_waits_anew(tmp_path: Path) -> None:
    config = config_for(tmp_path, register_cache_expiration=timedelta(seconds=0.2))
    async with auth_tailnet(config) as tailnet:
        lab = Lab(tailnet)
        lab.node(1, tailnet.registry.add_user("alice"))
        lab.node(2, tags=["tag:web"])
        auth_id = await lab.waiting(1, 2)
        held = await lab.hold(1, 2, auth_id)
        tailnet.clock.advance(0.3)
        async with asyncio.timeout(5):
            assert (await held).refused == ssh_checks.OVER
        assert (await lab.wait(1, 2, auth_id)).refused == ssh_checks.OVER
        again = await lab.waiting(1, 2)
        assert again != auth_id and (await lab.wait(1, 2, auth_id)).waiting.auth_id == again
        assert await _status(lab.decide(auth_id)) == ("NOT_FOUND", "SSH session not found or expired")
        assert (await lab.decide(again)).approved


async def test_only_the_machine_of_the_destination_is_answered_and_nothing_can_be_probed(lab: Lab) -> None:
    auth_id = await lab.waiting(1, 2)
    asked = (
        lab.ask(1, 2, machine=3), lab.ask(1, 2, machine=1), lab.ask(1, 99), lab.ask(99, 2), lab.ask(99, 98),
        lab.wait(1, 2, auth_id, machine=3), lab.wait(99, 2, auth_id), lab.wait(1, 2, NOBODY, machine=3),
    )  # fmt: skip
    assert {await _status(one) for one in asked} == {("NOT_FOUND", ssh_checks.NO_SESSION)}
    await lab.decide(auth_id)
    assert await _status(lab.wait(1, 2, auth_id, machine=3)) == ("NOT_FOUND", ssh_checks.NO_SESSION)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await lab.tailnet.stub.CheckSsh(pb.CheckSshRequest(question=_question(1, 2, {})))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("auth_id", ["", NOBODY, "odd", "hskey-authreq-\N{BULLET}", "x" * 5000])
async def test_an_auth_id_that_is_nobodys_begins_anew(lab: Lab, auth_id: str) -> None:
    made = await lab.wait(1, 2, auth_id)
    assert made.waiting.auth_id not in ("", auth_id)


async def test_an_auth_id_of_other_nodes_says_nothing(lab: Lab) -> None:
    theirs = await lab.waiting(1, 3)
    await lab.decide(theirs)
    for session in ((1, 2), (4, 3), (4, 2)):
        verdict = await lab.wait(*session, theirs)
        assert verdict.waiting.auth_id not in ("", theirs)
    other = await lab.wait(1, 3, theirs, local_user="ann", period_seconds=0)
    assert other.waiting.auth_id not in ("", theirs)


async def test_a_tagged_source_has_nobody_who_could_vouch(lab: Lab) -> None:
    assert (await lab.ask(2, 3)).refused == ssh_checks.NO_OWNER
    auth_id = await lab.waiting(1, 3)
    lab.tailnet.registry.nodes[1].tags[:] = ["tag:web"]
    lab.tailnet.registry.nodes[1].user_id = 0
    assert await _status(lab.decide(auth_id)) == ("FAILED_PRECONDITION", ssh_checks.NO_OWNER)
    assert (await lab.wait(1, 3, auth_id)).refused == ssh_checks.NO_OWNER


async def test_the_word_ends_with_the_key_that_it_was_given_for(lab: Lab) -> None:
    await lab.decide(await lab.waiting(1, 2))
    source = lab.tailnet.registry.nodes[1]
    source.expired = True
    assert (await lab.ask(1, 2)).refused == ssh_checks.ENDED
    source.expired, source.node_key = False, b"n" * 32
    auth_id = await lab.waiting(1, 2)
    source.node_key = b"m" * 32
    assert await _status(lab.decide(auth_id)) == ("FAILED_PRECONDITION", ssh_checks.CHANGED)
    assert (await lab.wait(1, 2, auth_id)).waiting.auth_id not in ("", auth_id)


async def test_the_word_ends_with_its_owner_and_with_its_node(lab: Lab) -> None:
    await lab.decide(await lab.waiting(1, 2))
    auth_id = await lab.waiting(1, 3)
    lab.tailnet.registry.nodes[1].user_id = lab.tailnet.registry.nodes[4].user_id
    assert (await lab.ask(1, 2)).HasField("waiting")
    del lab.tailnet.registry.nodes[1]
    assert (await _status(lab.ask(1, 2)))[0] == "NOT_FOUND"
    assert await _status(lab.decide(auth_id)) == ("FAILED_PRECONDITION", ssh_checks.CHANGED)


async def test_a_suspension_ends_words_and_waits_and_a_restored_user_is_asked_again(lab: Lab) -> None:
    await lab.decide(await lab.waiting(1, 2))
    auth_id = await lab.waiting(1, 3)
    held = await lab.hold(1, 3, auth_id, instance=1)
    owner = lab.tailnet.registry.nodes[1].user_id
    await lab.tailnet.stub.SuspendUser(pb.SuspendUserRequest(user_id=owner))
    async with asyncio.timeout(5):
        assert "suspended" in (await held).refused
    assert "suspended" in (await lab.ask(1, 2)).refused
    await lab.tailnet.stub.RestoreUser(pb.RestoreUserRequest(user_id=owner))
    assert (await lab.ask(1, 2)).HasField("waiting")


async def test_a_suspended_owner_cannot_be_spoken_for(lab: Lab) -> None:
    auth_id = await lab.waiting(1, 2)
    lab.tailnet.registry.users[lab.tailnet.registry.nodes[1].user_id].suspended = True
    code, text = await _status(lab.decide(auth_id))
    assert code == "FAILED_PRECONDITION" and "suspended" in text


async def test_an_approval_is_not_worth_anything_once_the_source_is_gone(lab: Lab) -> None:
    auth_id = await lab.waiting(1, 2, period_seconds=0)
    held = await lab.hold(1, 2, auth_id, period_seconds=0)
    await lab.decide(auth_id)
    assert (await held).accepted
    lab.tailnet.registry.nodes[1].expired = True
    assert (await lab.wait(1, 2, auth_id, period_seconds=0)).refused == ssh_checks.ENDED


async def test_a_registry_that_is_away_is_told_as_such(lab: Lab) -> None:
    auth_id = await lab.waiting(1, 2)
    lab.tailnet.registry.away = True
    for call in (lab.ask(1, 2), lab.wait(1, 2, auth_id), lab.decide(auth_id)):
        assert (await _status(call))[0] == "UNAVAILABLE"
    lab.tailnet.registry.away = False
    assert (await lab.decide(auth_id)).approved


@pytest.mark.parametrize(
    "fields", [{"local_user": "x" * 257}, {"local_user": "a\0b"}, {"source_id": 2**63}, {"destination_id": 2**64 - 1}]
)
async def test_what_no_client_sends_is_refused_and_nothing_is_stored(lab: Lab, fields: dict[str, Any]) -> None:
    assert (await _status(lab.ask(1, 2, **fields)))[0] == "INVALID_ARGUMENT"
    assert (await _status(lab.wait(1, 2, NOBODY, **fields)))[0] == "INVALID_ARGUMENT"
    assert not (await lab.tailnet.stub.ListSshChecks(pb.ListSshChecksRequest())).checks


async def test_thousands_of_sessions_of_one_node_leave_room_for_others(tmp_path: Path) -> None:
    async with auth_tailnet(config_for(tmp_path, register_cache_max_entries=64)) as tailnet:
        lab = Lab(tailnet)
        alice = tailnet.registry.add_user("alice")
        for number in range(1, 13):
            lab.node(number, alice)
        for number in range(3, 13):
            for _ in range(10):
                await lab.waiting(1, number, period_seconds=0)
                await lab.waiting(number, 2, period_seconds=0)
        listed = (await tailnet.stub.ListSshChecks(pb.ListSshChecksRequest())).checks
        assert sum(check.source_id == 1 for check in listed) == 10
        assert sum(check.destination_id == 2 for check in listed) == 8
        held = await lab.waiting(4, 3, period_seconds=0)
        assert (await lab.decide(held)).approved


async def test_a_full_table_refuses_with_what_to_do(tmp_path: Path) -> None:
    async with auth_tailnet(config_for(tmp_path, register_cache_max_entries=1)) as tailnet:
        lab = Lab(tailnet)
        alice, bob = tailnet.registry.add_user("alice"), tailnet.registry.add_user("bob")
        for number, owner in ((1, alice), (2, alice), (3, bob), (4, bob)):
            lab.node(number, owner)
        await lab.waiting(1, 2)
        assert (await lab.ask(3, 4)).refused == ssh_checks.FULL


async def test_the_list_shows_who_waits_for_what(lab: Lab) -> None:
    auth_id = await lab.waiting(1, 2, local_user="ann")
    await lab.decide(await lab.waiting(4, 2))
    (check,) = (await lab.tailnet.stub.ListSshChecks(pb.ListSshChecksRequest())).checks
    assert (check.auth_id, check.source_name, check.user_name) == (auth_id, "node1", "alice@example.com")
    assert (check.destination_name, check.local_user, check.decided) == ("node2", "ann", False)
