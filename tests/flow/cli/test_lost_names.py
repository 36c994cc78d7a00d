"""A user who is renamed or deleted leaves no name in the policy behind without a word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from headscale.v1 import policy_pb2, user_pb2

from tests.fakes.shell import Shell
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

POLICY = (
    '{"groups": {"group:a": ["Bob@"]}, "acls": [{"action": "accept", "src": ["group:a", "Carol@Example.com"],'
    ' "dst": ["ada@:22", "zoe@:22"]}]}'
)


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path, config_in(tmp_path)) as running:
        for name, email in (("ada", ""), ("Bob", ""), ("carol", "carol@example.com"), ("dora", "")):
            await running.admin.CreateUser(user_pb2.CreateUserRequest(name=name, email=email))
        yield running


async def test_names_that_match_nobody_any_more_are_named(tailnet: Tailnet, tmp_path: Path) -> None:
    shell = Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "admin.sock"))
    assert (await shell("users", "rename", "-n", "dora", "doris")).err == "", "there is no policy"
    await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POLICY))
    assert (await shell("users", "rename", "-n", "doris", "dora")).err == "", "the policy does not name her"
    renamed = await shell("users", "rename", "-n", "Bob", "rob", "-o", "json")
    assert renamed.data["name"] == "rob"
    assert renamed.err.startswith('warning: in the policy "Bob@" matches no user') and renamed.err.count("\n") == 1
    deleted = await shell("users", "destroy", "-n", "carol", "--force")
    assert deleted.status == 0 and 'warning: in the policy "Carol@Example.com" matches no user' in deleted.err
    assert "zoe" not in renamed.err + deleted.err, "she never existed"
