"""The policy from the command line: versions and their authors, conditions, the way back, explanations; and offline."""

from __future__ import annotations

import asyncio
import getpass
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from smartscale.admin.v1 import policy_pb2 as pb
from smartscale.admin.v1 import policy_pb2_grpc

from tests.fakes.ports import free_port
from tests.fakes.shell import Shell
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

OPEN = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]} // all\n'
SOME = (
    '{"groups": {"group:dev": ["alice@"]}, "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["bob@:22"]}]}\n'
)
BAD = '{\n "acls": [{"action": "maybe", "src": ["*"], "dst": ["*:*"]}],\n "foo": 1\n}\n'
TOPOLOGY = """
users: [{id: 1, name: ada, email: ada@example.com}, {id: 2, name: bob}]
nodes:
  laptop: {id: 1, user: ada, ipv4: 100.64.0.1}
  db: {id: 2, tags: ["tag:db"], ipv4: 100.64.0.2}
"""
DOCUMENT = """
groups: {group:dev: [ada@]}
tagOwners: {tag:db: []}
hosts: {base: 100.64.0.2}
acls: [{action: accept, src: [group:dev], dst: ["tag:db:5432"]}]
"""
SOCKET = f"unix socket ({getpass.getuser()})"
"""Who changes a policy over the unix socket of a test."""


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        yield running


@pytest.fixture
def shell(tailnet: Tailnet, tmp_path: Path) -> Shell:
    return Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "admin.sock"))


@pytest.fixture
def alone(tmp_path: Path) -> Shell:
    (tmp_path / "policy.yaml").write_text(DOCUMENT)
    (tmp_path / "tailnet.yaml").write_text(TOPOLOGY)
    (tmp_path / "bad.hujson").write_text(BAD)
    return Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "none.sock"))


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


async def test_versions_keep_who_when_and_why_and_lead_back(shell: Shell, tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", OPEN), write(tmp_path / "b", SOME)
    one = await shell.ok("policy", "set", first, "--reason", "to begin")
    two = await shell.ok("acls", "set", second)
    assert (one["policy"], one["number"], one["author"], one["reason"]) == (
        OPEN,
        "1",
        f"unix socket ({getpass.getuser()})",
        "to begin",
    )
    assert one["updatedAt"]
    assert [version["number"] for version in await shell.ok("policy", "versions")] == ["2", "1"]
    shown = (await shell("policy", "versions")).out
    assert "unix socket" in shown
    assert "to begin" in shown
    assert (await shell("policy", "show", "1")).out == OPEN
    assert f"-{OPEN}" in (await shell("policy", "diff", "1", "2")).out
    assert (await shell.ok("policy", "diff", "1"))["to"]["etag"] == two["etag"]
    three = await shell.ok("policy", "rollback", "1")
    assert (three["number"], three["etag"], three["reason"]) == ("3", one["etag"], "roll back to version 1")
    assert (await shell("policy", "get")).out == OPEN
    assert (await shell("policy", "rollback", "77")).status == 1


async def test_two_administrators_cannot_overwrite_each_other_unseen(shell: Shell, tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", OPEN), write(tmp_path / "b", SOME)
    seen = await shell.ok("policy", "set", first, "--if-match", "ts-default")
    assert (await shell("policy", "set", second, "--if-match", "ts-default")).status == 1
    assert (await shell("policy", "set", second, "--if-match", f'"{seen["etag"]}"')).status == 0
    overtaken = await shell("policy", "rollback", "1", "--if-match", seen["etag"])
    assert overtaken.status == 1
    assert "not the one that the change was made from" in overtaken.err


async def test_refusals_name_lines_and_columns(shell: Shell, tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.hujson", BAD)
    for verb in ("check", "set"):
        refused = await shell("policy", verb, bad)
        assert refused.status == 1
        assert "(line 2, column 22)" in refused.err
        assert "(line 3, column 2)" in refused.err
        told = await shell("policy", verb, bad, "-o", "json")
        assert told.status == 1
        assert any("(line 3, column 2)" in line for line in told.data["errors"])


async def test_live_explanations_and_previews_are_about_nodes_by_name(
    shell: Shell, tailnet: Tailnet, tmp_path: Path
) -> None:
    for name in ("alice", "bob"):
        key = await tailnet.auth_key(await tailnet.user(name))
        device = await tailnet.device(f"{name}s-laptop").connect()
        await device.register(Auth={"AuthKey": key})
    write(tmp_path / "a", OPEN)
    some = write(tmp_path / "b", SOME)
    preview = await shell.ok("policy", "preview", some)
    assert preview["nodes"]["bobs-laptop"]["packet_filter"]
    assert (await shell("policy", "preview", some)).status == 0
    await shell.ok("policy", "set", some)
    allowed = await shell("policy", "explain", "group:dev", "bobs-laptop:22")
    assert allowed.out == "alices-laptop may reach bobs-laptop\n  by acls[0]: group:dev to bob@\n"
    denied = await shell.ok("policy", "explain", "alices-laptop", "bob:80")
    assert not denied["allowed"]
    assert denied["answers"][0]["near"] == ["acls[0]: group:dev to bob@, but only port 22"]
    unknown = await shell("policy", "explain", "nobody", "bob:80")
    assert unknown.status == 1
    assert '"nobody" names no node' in unknown.err


async def test_over_tcp_the_author_is_the_api_key(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "remote"
    await asyncio.to_thread(folder.mkdir)
    config = replace(config_in(folder), grpc_listen_addr=f"127.0.0.1:{free_port()}", grpc_allow_insecure=True)
    async with tailnet_in(folder, config):
        inside = Shell(folder, HEADSCALE_UNIX_SOCKET=str(folder / "admin.sock"))
        key = (await inside("apikeys", "create")).out.strip()
        async with grpc.aio.insecure_channel(config.grpc_listen_addr) as channel:
            stub = policy_pb2_grpc.PolicyAdminServiceStub(channel)  # type: ignore[no-untyped-call]
            request = pb.SetPolicyRequest(text=OPEN, reason="from afar")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.SetPolicy(request, timeout=10)
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
            answer = await stub.SetPolicy(request, timeout=10, metadata=(("authorization", f"Bearer {key}"),))
    assert answer.version.author == f"api key {key.removeprefix('hskey-api-').partition('-')[0][:12]}"


async def test_compile_needs_no_server_and_no_configuration(alone: Shell) -> None:
    done = await alone("policy", "compile", "--policy", "policy.yaml", "--topology", "tailnet.yaml", "-o", "json")
    assert done.status == 0
    assert done.err == ""
    assert set(done.data) == {"nodes", "warnings"}
    assert set(done.data["nodes"]["db"]) == {"packet_filter", "ssh", "cap_map", "approved_routes", "peers"}
    assert done.data["nodes"]["db"]["packet_filter"] == [
        {"SrcIPs": ["100.64.0.1"], "DstPorts": [{"IP": "100.64.0.2", "Ports": {"First": 5432, "Last": 5432}}]}
    ]
    people = await alone("policy", "compile", "--policy", "policy.yaml", "--topology", "tailnet.yaml")
    assert "lets in 100.64.0.1 to 100.64.0.2:5432" in people.out


@pytest.mark.parametrize("policy", ["bad.hujson", "tailnet.yaml", "absent"])
async def test_what_is_refused_is_told_as_data_with_status_1(alone: Shell, policy: str) -> None:
    done = await alone("policy", "compile", "--policy", policy, "--topology", "tailnet.yaml", "-o", "json")
    assert done.status == 1
    assert all(isinstance(line, str) and line for line in json.loads(done.out)["errors"])


async def test_questions_can_be_asked_of_a_described_tailnet(alone: Shell, tmp_path: Path) -> None:
    described = ("--policy", "policy.yaml", "--topology", "tailnet.yaml")
    assert (await alone.ok("policy", "explain", "ada", "base:5432", *described))["allowed"]
    assert not (await alone.ok("policy", "explain", "group:dev", "tag:db:22", *described))["allowed"]
    closed = write(tmp_path / "closed.yaml", "acls: []\n")
    preview = await alone.ok("policy", "preview", closed, *described)
    assert preview["nodes"]["laptop"]["peers_removed"] == ["db"]
    assert (await alone("policy", "check", "policy.yaml", "--topology", "tailnet.yaml")).out == "policy is valid\n"
    assert (await alone("policy", "check", "--offline", "bad.hujson")).status == 1
    assert (await alone("policy", "explain", "ada", "base", "--topology", "tailnet.yaml")).status == 2
