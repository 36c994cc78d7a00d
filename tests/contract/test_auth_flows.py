"""Sign-ins on their way, on each database: one suite for the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from services.auth.model.oidc.flow import FlowState
from services.auth.model.oidc.refusal import RefusalReason
from services.auth.sql import SqlFlows
from services.shared.ids import DEFAULT_TAILNET, TailnetId, UserId
from tests.contract.auth_store import NOW, migrated, new_flow, sqlite


@pytest.fixture(params=["sqlite", "postgres"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[SqlFlows, SqlFlows]]:
    config = sqlite(tmp_path) if request.param == "sqlite" else request.getfixturevalue("server")
    async with migrated(config) as engine:
        yield SqlFlows(engine, DEFAULT_TAILNET), SqlFlows(engine, TailnetId("other"))


async def test_a_flow_comes_back_as_it_was_at_every_step(stores: tuple[SqlFlows, SqlFlows]) -> None:
    flows, others = stores
    flow = new_flow(1)
    await flows.add(flow, 8)
    steps = [flow, flow.at(FlowState.CHECKING, NOW)]
    steps.append(steps[-1].verified(UserId(7), "a@x.org", NOW + timedelta(1), "s1", "sid-1", ("left out",), NOW))
    steps.append(steps[-1].refused(RefusalReason.LOGIN_OVER, "too late", False, NOW + timedelta(seconds=1)))
    for before, after in pairwise(steps):
        assert await flows.get(flow.flow_id) == before
        assert await flows.replace(before, after)
    assert await flows.get(flow.flow_id) == steps[-1]
    assert await others.get(flow.flow_id) is None and await flows.get("0" * 24) is None
    assert not await others.replace(steps[-1], flow)


async def test_only_one_of_many_takes_a_step(stores: tuple[SqlFlows, SqlFlows]) -> None:
    flows, _ = stores
    flow = new_flow(1)
    await flows.add(flow, 8)
    taken = [flows.replace(flow, replace(flow, user_text=str(n)).at(FlowState.CHECKING, NOW)) for n in range(8)]
    assert sum(await asyncio.gather(*taken)) == 1


async def test_the_newest_of_a_login_stay_and_what_ended_goes(stores: tuple[SqlFlows, SqlFlows]) -> None:
    flows, _ = stores
    old = new_flow(0, login=2, at=NOW - timedelta(minutes=20))
    await flows.add(old, 3)
    made = [new_flow(number, at=NOW + timedelta(seconds=number)) for number in range(5)]
    for flow in made:
        await flows.add(flow, 3)
    kept = [flow for flow in [old, *made] if await flows.get(flow.flow_id) is not None]
    assert kept == made[2:]
