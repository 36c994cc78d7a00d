"""Two auth instances over one PostgreSQL: what must hold when they race."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from smartscale.auth.v1 import auth_pb2 as pb

from services.shared.config.model import DatabaseConfig
from tests.fakes import postgres as pg
from tests.fakes.auth import WAIT, AuthTailnet, auth_tailnet, config_for


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseConfig]:
    if pg.programs() is None:
        pytest.skip(pg.MISSING)
    with pg.postgres() as config:
        yield config


@pytest.fixture
async def tailnet(server: DatabaseConfig, tmp_path: Path) -> AsyncIterator[AuthTailnet]:
    config = replace(config_for(tmp_path, register_cache_max_entries=8), database=server)
    async with auth_tailnet(config, instances=2) as running:
        running.registry.add_user("alice")
        running.registry.add_user("bob")
        yield running


async def test_one_key_lets_one_machine_in(tailnet: AuthTailnet) -> None:
    key = await tailnet.key(user=1)
    clients = [tailnet.client(tailnet.stubs[number % 2]) for number in range(10)]
    answers = await asyncio.gather(*(client.register(auth_key=key) for client in clients))
    endings = sorted(answer.WhichOneof("outcome") for answer in answers)
    assert endings == ["admitted"] + ["refused"] * 9


async def test_one_device_has_one_owner_and_the_other_instance_hears_of_it(tailnet: AuthTailnet) -> None:
    client = tailnet.client(tailnet.stubs[1])
    login = (await client.register()).login_needed
    waiting = client.follow_soon(login.auth_url)
    await tailnet.watched(instance=1)
    calls = [tailnet.approve(login.auth_id, user, stub) for user, stub in enumerate(tailnet.stubs, 1)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert [error.code() for error in refused] == [grpc.StatusCode.FAILED_PRECONDITION]
    assert (await asyncio.wait_for(waiting, WAIT)).admitted.node.id == 1
    assert len(tailnet.registry.nodes) == 1


async def test_the_room_for_logins_is_shared(tailnet: AuthTailnet) -> None:
    clients = [tailnet.client(tailnet.stubs[n % 2], address=f"198.51.100.{n}") for n in range(20)]
    answers = await asyncio.gather(*(client.register() for client in clients))
    listed = (await tailnet.stub.ListPendingLogins(pb.ListPendingLoginsRequest())).logins
    assert len(listed) == 8
    assert sum(bool(answer.retry_after) for answer in answers) >= 12
