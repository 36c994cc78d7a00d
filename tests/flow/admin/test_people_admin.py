"""What administrators see of a person and of groups, and who they say is who: gRPC and the command line."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from headscale.v1 import policy_pb2
from smartscale.admin.v1 import user_pb2 as pb
from smartscale.admin.v1 import user_pb2_grpc

from services.shared.config.login import OidcConfig
from services.shared.runtime.clock import SystemClock
from tests.fakes.provider import CLIENT_ID, SECRET, provider_on_loopback
from tests.fakes.shell import Shell
from tests.fakes.sign_in_pages import ALICE, BOB, PUBLIC, World
from tests.fakes.tailnet import config_in, tailnet_in

POLICY = """{
  "groups": {"group:dev": ["alice@example.com", "bob@example.com"]},
  "acls": [{"action": "accept", "src": ["group:dev", "group:later"], "dst": ["*:22"]}],
}"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with provider_on_loopback(SystemClock()) as provider:
        oidc = OidcConfig(
            issuer=provider.issuer,
            client_id=CLIENT_ID,
            client_secret=SECRET,
            allowed_domains=("example.com",),
            namespace_claim="department",
            namespace_format="{email_local}",
        )
        config = replace(config_in(tmp_path), server_url=PUBLIC, oidc=oidc)
        async with tailnet_in(tmp_path, config) as tailnet:
            yield World(tailnet, provider)


@pytest.fixture
async def people(world: World, tmp_path: Path) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'admin.sock'}") as channel:
        yield user_pb2_grpc.UserAdminServiceStub(channel)  # type: ignore[no-untyped-call]


async def test_a_person_is_shown_with_identities_groups_and_who_says_so(
    world: World, people: Any, tmp_path: Path
) -> None:
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POLICY))
    device = await world.join("laptop", {**ALICE, "department": "research"})
    shell = Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "admin.sock"))
    shown = await shell.ok("users", "show", "alice@example.com")
    assert [link["subject"] for link in shown["links"]] == ["a"] and shown["lastLogin"]
    assert [(group["name"], group["source"], group["counts"]) for group in shown["groups"]] == [
        ("dev", "policy", True),
        ("dev", "provider", True),
        ("namespace:research", "provider", True),
    ]
    assert [(verdict["mayEnter"], verdict["reason"]) for verdict in shown["verdicts"]] == [(True, "")]
    assert [(node["id"], node["givenName"]) for node in shown["nodes"]] == [(str(device.id), "laptop")]
    assert shown["nodes"][0]["login"]["subject"] == "a" and shown["nodes"][0]["login"]["checkedAt"]
    assert {entry["attribute"] for entry in shown["history"]} >= {"name", "email", "groups"}
    await shell.ok("users", "suspend", "alice@example.com", "--reason", "left")
    told = (await shell("users", "show", "1", "--history")).out
    for words in (
        "suspended since",
        f"unix socket ({getpass.getuser()}): left",
        "no: this user is suspended",
        world.provider.issuer,
        "laptop",
    ):
        assert words in told
    everybody = await shell.ok("groups", "list")
    assert [(group["name"], group["inPolicy"], group["members"]) for group in everybody] == [
        ("dev", True, 1),
        ("later", False, 0),
        ("namespace:research", False, 1),
    ]
    members = (await shell.ok("groups", "show", "group:dev"))["members"]
    assert [(one["user"], one["membership"]["source"]) for one in members] == [
        ("alice", "policy"),
        ("alice", "provider"),
    ]
    assert "alice@example.com" in (await shell("groups", "show", "dev")).out
    assert "later" in (await shell("groups", "list")).out
    assert (await shell("groups", "show", "nobody-knows")).status == 1


async def test_verdicts_follow_the_rules_of_now(world: World, people: Any) -> None:
    await world.join("laptop", ALICE)
    await people.LinkUser(pb.LinkUserRequest(user="1", issuer="https://gone.example", subject="x"))
    await people.LinkUser(pb.LinkUserRequest(user="1", issuer=world.provider.issuer, subject="new"))
    shown = await people.ShowUser(pb.ShowUserRequest(user="1"))
    reasons = {verdict.subject: verdict.reason for verdict in shown.verdicts}
    assert reasons == {"a": "", "x": "provider-unknown", "new": "never-signed-in"}


async def test_an_administrator_says_who_is_who(world: World, people: Any, tmp_path: Path) -> None:
    shell = Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "admin.sock"))
    await world.join("laptop", ALICE)
    phone = await world.join("phone", {**ALICE, "sub": "replaced"})
    assert len(await shell.ok("users", "list")) == 2
    refused = await shell("users", "relink", "2", "1")
    assert refused.status == 1 and "--force" in refused.err
    moved = await shell.ok("users", "relink", "2", "1", "--force")
    assert (moved["links"], moved["nodes"], moved["left"]) == (1, 1, 0)
    assert moved["user"]["email"] == "alice@example.com"
    await phone.until(lambda: phone.netmap.node is not None and phone.netmap.node["User"] == 1)
    issuer = world.provider.issuer
    nodes = (await shell.ok("users", "show", "1"))["nodes"]
    assert [node["login"]["subject"] for node in nodes] == ["a", "replaced"]
    assert "is no longer user" in (await shell("users", "unlink", issuer, "a")).out
    assert "is user" in (await shell("users", "link", "2", issuer, "a")).out
    assert (await shell("users", "link", "1", issuer, "a")).status == 1
    assert (await shell("users", "unlink", issuer, "nobody")).status == 1
    await world.join("tablet", ALICE)
    assert [link["subject"] for link in (await shell.ok("users", "show", "2"))["links"]] == ["a"]


async def test_a_rule_that_came_later_shows_in_the_verdict(tmp_path: Path) -> None:
    async with provider_on_loopback(SystemClock()) as provider:
        oidc = OidcConfig(issuer=provider.issuer, client_id=CLIENT_ID, client_secret=SECRET)
        config = replace(config_in(tmp_path), server_url=PUBLIC, oidc=oidc)
        async with tailnet_in(tmp_path, config) as tailnet:
            await World(tailnet, provider).join("laptop", BOB)
        strict = replace(config, oidc=replace(oidc, allowed_groups=("admins",)))
        async with tailnet_in(tmp_path, strict), grpc.aio.insecure_channel(f"unix:{config.unix_socket}") as channel:
            stub: Any = user_pb2_grpc.UserAdminServiceStub(channel)  # type: ignore[no-untyped-call]
            (verdict,) = (await stub.ShowUser(pb.ShowUserRequest(user="bob@example.com"))).verdicts
            assert (verdict.may_enter, verdict.reason) == (False, "group-not-allowed")
