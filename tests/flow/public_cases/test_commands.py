"""Commands and scripts that people run: as they are written, against a server with users and nodes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest
import pytest_asyncio
from headscale.v1 import node_pb2, user_pb2

from tests.fakes.tailnet import config_in, tailnet_in
from tests.flow.cli.world import World
from tests.flow.public_cases.folder import copy_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
JQ = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A server with two nodes of a user, one of them called web."""
    folder = tmp_path_factory.mktemp("server")
    async with tailnet_in(folder, config_in(folder)) as tailnet:
        made = World(tailnet, folder, "")
        key = await tailnet.auth_key(await tailnet.user("ada"))
        for name in ("web", "db"):
            await tailnet.device(name).join(key)
        yield made


async def test_the_version_is_one_that_consumers_of_headscale_understand(world: World, tmp_path: Path) -> None:
    copy_of("07-version-for-consumers", tmp_path)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as web:
        version = (await web.get(f"{world.tailnet.url}/version")).json()["version"]
    assert re.match(r"^v?0\.(29|[3-9][0-9])\.", version)


@pytest.mark.parametrize("words", [(), ("db",)])
async def test_a_list_on_one_line_is_one_list(world: World, tmp_path: Path, words: tuple[str, ...]) -> None:
    copy_of("09-json-line-list-of-nodes", tmp_path)
    answer = await world.run("nodes", "list", *words, "-o", "json-line")
    assert isinstance(json.loads(answer.out), list) and answer.out.count("\n") == 1


@JQ
async def test_the_script_that_reads_addresses_finds_them(world: World, tmp_path: Path) -> None:
    script = (copy_of("11-script-jq-given-name", tmp_path) / "run.sh").read_text()
    answer = await world.script(script)
    assert (answer.status, answer.out) == (0, "100.64.0.1\n"), answer


@JQ
async def test_the_script_that_selects_what_was_not_seen_for_a_day_selects_nothing(
    world: World, tmp_path: Path
) -> None:
    text = (copy_of("12-script-last-seen-seconds", tmp_path) / "README.md").read_text()
    found = re.search(r"`(nodes list .*?)` \(", text)
    assert found is not None
    answer = await world.script(f"headscale {found[1]}")
    assert (answer.status, answer.out) == (0, ""), answer
    assert (await world.script(f"headscale {found[1].replace('<', '>')}")).out == "1\n2\n", "what was seen is found"


async def test_flags_may_stand_before_the_command(world: World, tmp_path: Path) -> None:
    text = (copy_of("40-cli-flag-before-command", tmp_path) / "README.md").read_text()
    found = re.search(r"`(headscale --user .*?)`", text)
    assert found is not None
    answer = await world.script(found[1])
    assert answer.status == 0 and answer.out.startswith("hskey-auth-"), answer


async def test_switches_take_values(world: World, tmp_path: Path) -> None:
    text = (copy_of("42-cli-boolean-with-value", tmp_path) / "README.md").read_text()
    found = re.search(r"`(--reusable.*?)`", text)
    assert found is not None
    answer = await world.run("preauthkeys", "create", "-u", "1", *found[1].split(), "-o", "json")
    assert answer.status == 0 and answer.data["reusable"] is True and "ephemeral" not in answer.data, answer


async def test_a_node_is_renamed_to_the_name_in_lower_case(world: World, tmp_path: Path) -> None:
    copy_of("59-rename-node-with-capitals", tmp_path)
    answer = await world.run("nodes", "rename", "-i", "2", "New-Name", "-o", "json")
    assert answer.data["given_name"] == "new-name", answer
    request = node_pb2.RenameNodeRequest(node_id=2, new_name="DB")
    assert (await world.tailnet.admin.RenameNode(request, timeout=10)).node.given_name == "db"
    secret = (await world.run("apikeys", "create")).out.strip()
    async with httpx.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {secret}"}) as web:
        changed = await web.post(f"{world.tailnet.url}/api/v1/node/2/rename/New-Name")
    assert changed.json()["node"]["givenName"] == "new-name"


async def test_a_user_whom_no_policy_could_name_is_not_created(world: World, tmp_path: Path) -> None:
    copy_of("60-user-name-ending-in-at", tmp_path)
    answer = await world.run("users", "create", "john@")
    assert answer.status == 1 and "@" in answer.err, answer
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.tailnet.admin.CreateUser(user_pb2.CreateUserRequest(name="john@"), timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
