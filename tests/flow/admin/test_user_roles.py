"""An administrator gives users roles, and the policy's autogroups follow them on nodes that are connected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from headscale.v1 import policy_pb2
from smartscale.admin.v1 import user_pb2 as pb
from smartscale.admin.v1 import user_pb2_grpc

from tests.fakes.device import admits
from tests.fakes.shell import Shell
from tests.fakes.tailnet import Tailnet, tailnet_in

POLICY = '{"acls": [{"action": "accept", "src": ["autogroup:admin"], "dst": ["bob@:22"]}]}'
ROLES = ("owner", "admin", "network-admin", "it-admin", "billing-admin", "auditor", "member")


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        yield running


@pytest.fixture
def shell(tailnet: Tailnet, tmp_path: Path) -> Shell:
    return Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "admin.sock"))


async def test_an_admins_node_reaches_what_the_policy_lets_admins_reach(tailnet: Tailnet, shell: Shell) -> None:
    keys = [await tailnet.auth_key(await tailnet.user(name)) for name in ("alice", "bob")]
    await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POLICY))
    laptop, server = [await tailnet.device(f"node{number}").join(key) for number, key in enumerate(keys)]
    assert not admits(server, laptop)
    assert laptop.peer(server) is None
    changed = await shell.ok("users", "role", "alice", "admin")
    assert (changed["name"], changed["role"]) == ("alice", "admin")
    await server.until(lambda: admits(server, laptop))
    await laptop.sees(server)
    assert (await shell("users", "role", changed["id"], "member")).out == "user alice is now member\n"
    await server.until(lambda: not admits(server, laptop))
    await laptop.until(lambda: laptop.peer(server) is None)


async def test_only_roles_that_there_are_and_only_users_that_there_are(
    tailnet: Tailnet, shell: Shell, tmp_path: Path
) -> None:
    for name in ("alice", "bob"):
        await tailnet.user(name)
    await shell.ok("users", "role", "bob", "owner")
    for role in ROLES:
        assert (await shell.ok("users", "role", "alice", role))["role"] == role
    listed = await shell.ok("users", "list")
    assert [(user["name"], user["role"]) for user in listed] == [("alice", "member"), ("bob", "owner")]
    assert "member" in (await shell("users", "list", "-n", "alice")).out.splitlines()[-1]
    refused = await shell("users", "role", "alice", "king")
    assert refused.status == 1
    assert "network-admin" in refused.err
    assert (await shell("users", "role", "nobody", "admin")).status == 1
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'admin.sock'}") as channel:
        stub = user_pb2_grpc.UserAdminServiceStub(channel)  # type: ignore[no-untyped-call]
        for user, role, code in (
            ("alice", "", grpc.StatusCode.INVALID_ARGUMENT),
            ("alice", "Admin", grpc.StatusCode.INVALID_ARGUMENT),
            ("", "admin", grpc.StatusCode.INVALID_ARGUMENT),
            ("nobody", "admin", grpc.StatusCode.NOT_FOUND),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await stub.SetRole(pb.SetRoleRequest(user=user, role=role))
            assert failure.value.code() is code
        assert (await stub.SetRole(pb.SetRoleRequest(user="1", role="auditor"))).user.role == "auditor"
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        told = [answer async for answer in reflection.ServerReflectionInfo(iter([asked]))]
        assert "smartscale.admin.v1.UserAdminService" in [one.name for one in told[0].list_services_response.service]
