"""This person's rights changed: written down first, carried out in spite of crashes, told at once."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from smartscale.auth.v1 import auth_pb2 as pb
from sqlalchemy import text

from services.shared.db.database import create_engine, read
from tests.fakes.sign_in import CONFIRMING, REFUSED, Lab

TEXT = "this user is suspended; ask the administrator"
WAIT = 10.0


async def suspend(lab: Lab, user_id: int, instance: int = 0) -> Any:
    return (await lab.tailnet.stubs[instance].SuspendUser(pb.SuspendUserRequest(user_id=user_id, actor="me"))).user


async def undone(lab: Lab) -> int:
    engine = create_engine(lab.tailnet.config.database)
    try:
        async with read(engine) as connection:
            query = text("SELECT count(*) FROM auth_rights WHERE done_at IS NULL")
            return int((await connection.execute(query)).scalar_one())
    finally:
        await engine.dispose()


async def test_a_sign_in_that_waits_for_its_yes_is_refused_and_the_device_told_at_once(lab: Lab) -> None:
    await lab.begin(instances=2)
    waiting = lab.device.follow_soon(lab.url)
    await lab.tailnet.watched()
    started, shown = await lab.come_back()
    assert shown.state == CONFIRMING
    user = next(iter(lab.tailnet.registry.users.values()))
    await suspend(lab, user.id, instance=1)
    assert (await asyncio.wait_for(waiting, WAIT)).refused == TEXT
    after = await lab.confirm(started, shown)
    assert (after.state, after.reason, after.final) == (REFUSED, "user-suspended", True)
    assert not lab.tailnet.registry.nodes


async def test_a_yes_after_the_registry_heard_of_it_is_refused_for_good(lab: Lab) -> None:
    await lab.begin()
    waiting = lab.device.follow_soon(lab.url)
    await lab.tailnet.watched()
    started, shown = await lab.come_back()
    user = next(iter(lab.tailnet.registry.users.values()))
    user.suspended = True  # another instance is between its two steps
    after = await lab.confirm(started, shown)
    assert (after.state, after.reason, after.final) == (REFUSED, "user-suspended", True)
    assert (await asyncio.wait_for(waiting, WAIT)).refused == TEXT


async def test_a_change_that_the_registry_did_not_take_is_finished_after_a_restart(lab: Lab) -> None:
    await lab.begin()
    user_id = lab.tailnet.registry.add_user("alice")
    lab.tailnet.registry.away = True
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await suspend(lab, user_id)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    await lab.tailnet.services.pop().stop()  # as good as killed: the row is all that is left of it
    assert await undone(lab) == 1 and not lab.tailnet.registry.users[user_id].suspended
    lab.tailnet.registry.away = False
    await lab.tailnet.start_instance()
    async with asyncio.timeout(WAIT):
        while await undone(lab):  # noqa: ASYNC110  another task's rows are all that can be waited on
            await asyncio.sleep(0.01)
    assert lab.tailnet.registry.users[user_id].suspended


async def test_a_late_change_does_not_undo_a_newer_one(lab: Lab) -> None:
    await lab.begin()
    user_id = lab.tailnet.registry.add_user("alice")
    lab.tailnet.registry.away = True
    with pytest.raises(grpc.aio.AioRpcError):
        await suspend(lab, user_id)
    await lab.tailnet.services.pop().stop()
    lab.tailnet.registry.rights[user_id] = 2  # the restoration that followed was taken by way of another instance
    lab.tailnet.registry.away = False
    await lab.tailnet.start_instance()
    async with asyncio.timeout(WAIT):
        while await undone(lab):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not lab.tailnet.registry.users[user_id].suspended


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"user_id": 99}, grpc.StatusCode.NOT_FOUND),
        ({"user_id": 1 << 63}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"user_id": 1, "reason": "a\nb"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"user_id": 1, "reason": "x" * 1001}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_what_cannot_be_a_change_is_refused_and_not_written_down(
    lab: Lab, fields: dict[str, Any], code: grpc.StatusCode
) -> None:
    await lab.begin()
    lab.tailnet.registry.add_user("alice")
    for call in (
        lab.tailnet.stub.SuspendUser(pb.SuspendUserRequest(**fields)),
        lab.tailnet.stub.RestoreUser(pb.RestoreUserRequest(**fields)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is code
    assert await undone(lab) == 0


async def test_what_can_never_be_done_is_told_and_holds_up_nothing(lab: Lab) -> None:
    await lab.begin()
    alice, bob = lab.tailnet.registry.add_user("alice"), lab.tailnet.registry.add_user("bob")
    lab.tailnet.registry.away = True
    for user_id in (alice, bob):
        with pytest.raises(grpc.aio.AioRpcError):
            await suspend(lab, user_id)
    await lab.tailnet.services.pop().stop()
    del lab.tailnet.registry.users[alice]  # meanwhile an administrator deleted the user
    lab.tailnet.registry.away = False
    await lab.tailnet.start_instance()
    async with asyncio.timeout(WAIT):
        while await undone(lab):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert lab.tailnet.registry.users[bob].suspended
