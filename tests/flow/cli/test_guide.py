"""The commands of the guide, as they stand there, against a running control plane."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.shell import Shell
from tests.fakes.tailnet import Tailnet, tailnet_in

ACLS = """
groups:
  group:admins:
    - user1@example.com
acls:
  - action: accept
    src:
      - group:admins
    dst:
      - "*:*"
tagOwners:
  tag:prod:
    - group:admins
"""


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        yield running


@pytest.fixture
def shell(tailnet: Tailnet, tmp_path: Path) -> Shell:
    return Shell(tmp_path, HEADSCALE_UNIX_SOCKET=str(tmp_path / "admin.sock"))


async def test_users_and_machines_are_listed_and_shown(tailnet: Tailnet, shell: Shell) -> None:
    await shell.ok("users", "create", "user", "-e", "user@example.com")
    key = await shell("preauthkeys", "create", "--user", "user@example.com")
    assert key.status == 0 and key.out.startswith("hskey-auth-")
    await tailnet.device("laptop").join(key.out.strip())
    assert (await shell("users", "list")).status == 0
    assert (await shell.ok("users", "show", "user@example.com"))["user"]["email"] == "user@example.com"
    assert [node["givenName"] for node in await shell.ok("machines", "list")] == ["laptop"]


async def test_routes_are_listed_approved_and_taken_back(tailnet: Tailnet, shell: Shell) -> None:
    user = await tailnet.user("alice")
    router = tailnet.device("router")
    await router.join(await tailnet.auth_key(user))
    await router.report(Hostinfo={"Hostname": "router", "RoutableIPs": ["10.1.0.0/24", "0.0.0.0/0", "::/0"]})
    routes = await shell.ok("routes", "list")
    assert [(route["prefix"], route["enabled"]) for route in routes] == [
        ("0.0.0.0/0", False), ("10.1.0.0/24", False), ("::/0", False),
    ]  # fmt: skip
    await shell.ok("routes", "enable", "-r", routes[1]["id"])
    assert [route["enabled"] for route in await shell.ok("routes", "list", "-i", "router")] == [False, True, False]
    await shell.ok("routes", "enable", "-r", routes[0]["id"])
    assert all(route["enabled"] for route in await shell.ok("routes", "list"))
    told = await shell("routes", "disable", "-r", routes[1]["id"])
    assert told.out == "10.1.0.0/24 of router is no longer approved\n"
    unknown = await shell("routes", "enable", "-r", "99")
    assert unknown.status == 1 and "route not found" in unknown.err


async def test_a_key_is_rotated_and_a_machine_deleted(tailnet: Tailnet, shell: Shell) -> None:
    user = await tailnet.user("alice")
    await tailnet.device("laptop").join(await tailnet.auth_key(user))
    (node,) = await shell.ok("machines", "list")
    told = await shell("nodes", "key", "rotate", "--id", node["id"])
    assert told.status == 0 and "is expired" in told.out
    assert (await shell.ok("nodes", "list"))[0]["expiry"] is not None
    refused = await shell("machines", "delete", "--id", node["id"])
    assert refused.status == 1 and "--force" in refused.err
    assert (await shell("machines", "delete", "--id", node["id"], "--force")).status == 0
    assert await shell.ok("nodes", "list") == []


async def test_acls_are_set_and_shown_as_they_were_written(tailnet: Tailnet, shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "acls.yaml"
    file.write_text(ACLS)
    assert (await shell("acls", "set", str(file))).status == 0
    assert (await shell("acls", "show")).out.strip() == ACLS.strip()
