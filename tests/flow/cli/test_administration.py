"""The command line against a running control plane: over its unix socket, and over TCP with API keys and TLS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from headscale.v1 import headscale_pb2, headscale_pb2_grpc, user_pb2

from services.shared.config.model import Config
from tests.fakes.certificates import issue
from tests.fakes.ports import free_port
from tests.fakes.shell import Shell
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        yield running


@pytest.fixture
def shell(tailnet: Tailnet, tmp_path: Path) -> Shell:
    return Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "admin.sock"))


async def test_users_live_and_go(shell: Shell) -> None:
    alice = await shell.ok("users", "create", "alice", "-e", "alice@example.com", "-d", "Alice")
    assert (alice["name"], alice["email"], alice["displayName"]) == ("alice", "alice@example.com", "Alice")
    again = await shell("users", "create", "alice")
    assert again.status == 1
    assert again.err.startswith("headscale: ")
    await shell.ok("users", "create", "bob")
    assert [user["name"] for user in await shell.ok("users", "list")] == ["alice", "bob"]
    assert (await shell.ok("users", "show", "alice@example.com"))["user"]["name"] == "alice"
    assert (await shell.ok("users", "rename", "bob", "carol"))["name"] == "carol"
    refused = await shell("users", "destroy", "-n", "carol")
    assert refused.status == 1
    assert "--force" in refused.err
    assert (await shell("users", "destroy", "-n", "carol", "--force")).status == 0
    assert (await shell("users", "destroy", "-n", "carol", "--force")).status == 1
    lines = (await shell("users", "list")).out.splitlines()
    assert lines[0].split()[:2] == ["ID", "Name"]
    assert "alice@example.com" in lines[1]


async def test_a_pre_auth_key_is_shown_once_admits_and_ends(shell: Shell, tailnet: Tailnet) -> None:
    await shell.ok("users", "create", "alice")
    made = await shell("preauthkeys", "create", "--user", "alice", "--reusable", "-e", "24h")
    key = made.out.strip()
    assert key.startswith("hskey-auth-")
    device = await tailnet.device("web").join(key)
    (node,) = await shell.ok("nodes", "list", "-u", "alice")
    assert node["id"] == str(device.id)
    assert node["givenName"] == "web"
    assert node["user"]["name"] == "alice"
    (listed,) = await shell.ok("preauthkeys", "list")
    assert listed["key"] not in ("", key)
    assert listed["used"] is False, "a reusable key is not used up"
    assert (await shell("preauthkeys", "expire", "-i", listed["id"])).status == 0
    assert (await tailnet.device("late").connect()) is not None
    assert "Error" in await tailnet.devices[-1].register(Auth={"AuthKey": key})
    assert (await shell("preauthkeys", "delete", "-i", listed["id"], "--force")).status == 0
    assert await shell.ok("preauthkeys", "list") == []


async def test_a_node_is_renamed_expired_and_deleted(shell: Shell, tailnet: Tailnet) -> None:
    key = await tailnet.auth_key(await tailnet.user("alice"))
    device = await tailnet.device("web").join(key)
    assert (await shell.ok("nodes", "rename", "-i", "web", "printer"))["givenName"] == "printer"
    assert (await shell("nodes", "rename", "-i", "printer", "Not A Label")).status == 1
    assert (await shell.ok("nodes", "expire", "-i", str(device.id)))["expiry"]
    wrong = await shell("nodes", "delete", "--id", "999", "--force")
    assert (wrong.status, wrong.out) == (1, "")
    assert "node not found" in wrong.err
    table = (await shell("nodes", "list")).out
    assert "printer" in table
    assert "MachineKey" in table
    assert (await shell("machines", "delete", "--id", str(device.id), "--force")).status == 0
    assert await shell.ok("nodes", "list") == []


async def test_a_login_is_approved_or_refused(shell: Shell, tailnet: Tailnet) -> None:
    await tailnet.user("alice")
    device = await tailnet.device("web").connect()
    first = await device.register()
    auth_id = first["AuthURL"].rpartition("/")[2]
    waiting = asyncio.create_task(device.register(Followup=first["AuthURL"]))
    node = await shell.ok("auth", "register", "--auth-id", auth_id, "--user", "alice")
    assert node["registerMethod"] == "REGISTER_METHOD_CLI"
    assert (await asyncio.wait_for(waiting, 10))["MachineAuthorized"]
    unknown = await shell("auth", "register", "--auth-id", auth_id[:-1] + "x", "--user", "alice")
    assert unknown.status == 1
    other = await tailnet.device("other").connect()
    url = (await other.register())["AuthURL"]
    assert (await shell("auth", "reject", "--auth-id", url.rpartition("/")[2])).status == 0


async def test_a_policy_is_set_shown_and_refused(shell: Shell, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.hujson"
    good.write_text('acls:\n  - action: accept\n    src: ["*"]\n    dst: ["*:*"]\n')
    bad.write_text('{"acls": [{"action": "maybe"}]}')
    empty = await shell("policy", "get")
    assert (empty.status, empty.out) == (1, "") and empty.err.endswith("headscale policy set FILE\n")
    assert (await shell("acls", "set", str(good))).status == 0
    assert (await shell("policy", "get")).out == good.read_text()
    refused = await shell("policy", "set", "-f", str(bad))
    assert refused.status == 1
    assert (await shell("policy", "check", "-f", str(bad))).status == 1
    assert (await shell("acls", "show")).out == good.read_text()


async def test_health_tells_the_truth(shell: Shell) -> None:
    assert (await shell("health")).out == "ok\n"


@pytest.fixture(params=["plain", "tls"])
async def remote(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Config]:
    config = replace(config_in(tmp_path), grpc_listen_addr=f"127.0.0.1:{free_port()}")
    if request.param == "tls":
        certificate, key = issue("smartscale").write(tmp_path)
        config = replace(config, tls_cert_path=certificate, tls_key_path=key)
    else:
        config = replace(config, grpc_allow_insecure=True)
    async with tailnet_in(tmp_path, config):
        yield config


async def test_a_remote_command_needs_a_key_that_is_in_force(remote: Config, tmp_path: Path) -> None:
    here = Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(remote.unix_socket))
    key = (await here("apikeys", "create")).out.strip()
    there = Shell(
        tmp_path,
        HEADSCALE_CLI_ADDRESS=remote.grpc_listen_addr,
        HEADSCALE_CLI_API_KEY=key,
        HEADSCALE_CLI_INSECURE="true",
    )
    assert (await there.ok("users", "create", "alice"))["name"] == "alice"
    (listed,) = await there.ok("apikeys", "list")
    assert listed["lastSeen"]
    assert (await here("apikeys", "expire", "-p", listed["prefix"])).status == 0
    refused = await there("users", "list")
    assert refused.status == 1
    assert "invalid token" in refused.err


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted_unasked(remote: Config, tmp_path: Path) -> None:
    there = Shell(tmp_path, HEADSCALE_CLI_ADDRESS=remote.grpc_listen_addr, HEADSCALE_CLI_API_KEY="hskey-api-x-y")
    assert (await there("users", "list")).status == 1


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ((), "authorization token not supplied"),
        ((("authorization", "Basic x"),), 'missing "Bearer " prefix in "authorization" header'),
        ((("authorization", "Bearer hskey-api-x-y"),), "invalid token"),
        ((("authorization", "Bearer "),), "invalid token"),
        ((("authorization", "Bearer " + "k" * 7000),), "invalid token"),
    ],
)
async def test_each_wrong_key_is_refused_in_headscales_words(
    tmp_path: Path, header: tuple[tuple[str, str], ...], text: str
) -> None:
    config = replace(config_in(tmp_path), grpc_listen_addr=f"127.0.0.1:{free_port()}", grpc_allow_insecure=True)
    async with tailnet_in(tmp_path, config), grpc.aio.insecure_channel(config.grpc_listen_addr) as channel:
        stub: Any = headscale_pb2_grpc.HeadscaleServiceStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Health(headscale_pb2.HealthRequest(), metadata=header, timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert caught.value.details() == text


async def test_the_socket_has_the_configured_mode_and_replaces_a_stale_one(tmp_path: Path) -> None:
    config = replace(config_in(tmp_path), unix_socket_permission=0o600)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(config.unix_socket))
    async with tailnet_in(tmp_path, config) as tailnet:
        assert config.unix_socket.stat().st_mode & 0o777 == 0o600
        assert list((await tailnet.admin.ListUsers(user_pb2.ListUsersRequest())).users) == []
    assert not config.unix_socket.exists()
