"""What a policy means follows the configuration of sign-in: whose groups count, without a restart."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from smartscale.policy.v1 import policy_pb2 as pb
from smartscale.policy.v1 import policy_pb2_grpc

from services.policy import wiring
from services.shared.bus import MemoryBus
from services.shared.config.model import Config, DatabaseConfig, PolicyConfig, SqliteConfig
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.runtime.process import Deps
from services.shared.runtime.reload import Reloader
from tests.fakes.clock import FakeClock

TEXT = '{"groups": {"group:dev": ["ann@"]}, "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["*:*"]}]}'


@pytest.mark.parametrize("mode", ["database", "file"])
async def test_another_rule_for_groups_is_in_force_without_a_restart(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "policy.hujson"
    path.write_text(TEXT)
    database = DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=tmp_path / "db.sqlite"))
    policy = PolicyConfig(mode=mode, path=path if mode == "file" else None)
    config = replace(Config(), database=database, policy=policy)
    issuer = replace(config.oidc, issuer="https://idp.example")
    now = [replace(config, oidc=issuer)]
    reloader, bus = Reloader(now[0], lambda: now[0]), MemoryBus()
    service = await wiring.build(now[0], Deps(FakeClock(), bus, {}, reloader=reloader))
    server = LocalServer()
    service.add_to(server)  # type: ignore[arg-type]
    await service.start()
    try:
        stub: Any = policy_pb2_grpc.PolicyServiceStub(LocalChannel(server))  # type: ignore[no-untyped-call]
        if mode == "database":
            await stub.SetPolicy(pb.SetPolicyRequest(text=TEXT), timeout=5)
        before = (await stub.GetCompiled(pb.GetCompiledRequest(), timeout=5)).compiled
        now[0] = replace(now[0], oidc=replace(issuer, groups=replace(issuer.groups, on_conflict="static")))
        assert (await reloader.reload()).changed == ("oidc.groups.on_conflict",)
        async with asyncio.timeout(10):
            while (await stub.GetCompiled(pb.GetCompiledRequest(), timeout=5)).compiled == before:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert (await stub.GetPolicy(pb.GetPolicyRequest(), timeout=5)).version.number == 1
    finally:
        await service.stop()
        await bus.close()
