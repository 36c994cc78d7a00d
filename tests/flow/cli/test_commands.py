"""Every command by the installed program against a running server: what it does, and what it refuses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from headscale.v1 import policy_pb2, user_pb2

from cli.frame.tree import tree, walk
from services.shared.config.model import PolicyConfig
from tests.fakes.tailnet import config_in, tailnet_in
from tests.flow.cli.right_uses import RIGHT
from tests.flow.cli.uses import LOCAL, Use
from tests.flow.cli.world import OPEN, TAGS, World
from tests.flow.cli.wrong_uses import WRONG

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMMANDS = [" ".join(command.words) for command in walk(tree()) if command.runs]
NEIGHBOURS = "".join(
    path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py") if path != Path(__file__)
)
HOSTINFO = {
    "Hostname": "laptop", "OS": "linux", "IPNVersion": "1.90.9-t0", "Distro": "debian", "DistroVersion": "12",
    "NetInfo": {"MappingVariesByDestIP": True, "WorkingUDP": False, "UPnP": True, "PreferredDERP": 7},
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("cli")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    config = replace(
        config_in(folder, admin_calls_per_second=1000, admin_wrong_keys=10_000),
        grpc_listen_addr=address,
        grpc_allow_insecure=True,
        policy=PolicyConfig(mode="database"),
    )
    async with tailnet_in(folder, config) as tailnet:
        await tailnet.admin.CreateUser(user_pb2.CreateUserRequest(name="root", email="root@example.com"))
        for text in (OPEN, TAGS):
            await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=text))
        laptop = await tailnet.device("laptop").join(await tailnet.auth_key(1))
        await laptop.report("192.0.2.7:41641", home_derp=7, Hostinfo=HOSTINFO)
        yield World(tailnet, folder, address)


def run_by_neighbours(command: str) -> bool:
    """Whether another flow test runs the command; `acls` is `policy` by its older name."""
    words = ", ".join(f'"{word}"' for word in command.replace("acls ", "policy ").split())
    return words in NEIGHBOURS


async def test_each_command_is_run_rightly_and_wrongly_by_a_test() -> None:
    of_server = [command for command in COMMANDS if not command.startswith("acls ")]
    assert [one for one in of_server if one not in RIGHT and not run_by_neighbours(one)] == []
    assert [one for one in of_server if one not in WRONG and not run_by_neighbours(one)] == []
    assert [one for one in (*RIGHT, *WRONG) if one not in COMMANDS] == []


@pytest.mark.parametrize("command", RIGHT)
async def test_a_command_does_its_work(world: World, command: str) -> None:
    for use in RIGHT[command]:
        if "{policy}" in use.words:  # tags are set where the policy has owners for them
            await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=TAGS))
        await world.fill(use.beside)
        words = await world.fill(use.words)
        before = await world.state()
        answer = await world.run(*words)
        assert answer.status == use.status, (words, answer)
        assert use.says in answer.out, (words, answer)
        assert (await world.state() != before) is use.changes, words
    if command.startswith("policy set"):
        await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=TAGS))


@pytest.mark.parametrize("command", WRONG)
async def test_wrong_use_is_told_and_changes_nothing(world: World, command: str) -> None:
    made = [(await world.fill(use.words), use) for use in WRONG[command]]
    before = await world.state()
    for (words, use), answer in zip(made, await side_by_side(world, [words for words, _ in made]), strict=True):
        assert (answer.status, answer.out) == (use.status, ""), (words, answer)
        assert use.says.lower() in answer.err.lower(), (words, answer)
        assert answer.err.startswith("headscale"), (words, answer)
    assert await world.state() == before


@pytest.mark.parametrize("command", [command for command in RIGHT if command not in LOCAL])
async def test_no_server_and_a_wrong_key_are_told_and_change_nothing(world: World, command: str) -> None:
    words = await world.fill(next(use.words for use in RIGHT[command] if "bypass" not in use.words))
    before = await world.state()
    away = {"HEADSCALE_UNIX_SOCKET": str(world.folder / "none.sock")}
    stranger = {
        "HEADSCALE_CLI_ADDRESS": world.address,
        "HEADSCALE_CLI_API_KEY": "hskey-api-abcdefghijkl-wrong",
        "HEADSCALE_CLI_INSECURE": "true",
    }
    none, refused = await asyncio.gather(world.run(*words, **away), world.run(*words, **stranger))
    assert (none.status, none.out) == (1, ""), none
    assert "no server answers" in none.err
    assert (refused.status, refused.out) == (1, ""), refused
    assert "invalid token" in refused.err
    assert await world.state() == before


async def side_by_side(world: World, commands: list[list[str]]) -> list:  # type: ignore[type-arg]
    """Run several at once: most of their time is the start of Python."""
    return list(await asyncio.gather(*(world.run(*words) for words in commands)))


async def test_a_command_that_asks_takes_its_answer_from_standard_input(world: World) -> None:
    use = Use("users destroy {user}")
    words = await world.fill(use.words)
    before = await world.state()
    for stdin, sentence in (("", "add --force"), ("n\n", "nothing was changed"), ("maybe\n", "nothing was changed")):
        answer = await world.run(*words, stdin=stdin)
        assert answer.status == 1 and sentence in answer.err
        assert await world.state() == before
    assert (await world.run(*words, stdin="y\n")).status == 0, "the answer may come from a pipe, as with Headscale"


async def test_a_remote_command_with_its_key_does_its_work(world: World) -> None:
    key = (await world.run("apikeys", "create")).out.strip()
    remote = {"HEADSCALE_CLI_ADDRESS": world.address, "HEADSCALE_CLI_API_KEY": key, "HEADSCALE_CLI_INSECURE": "true"}
    assert (await world.run("nodes", "list", "--wide", **remote)).out.count("laptop") == 2
    assert (await world.run("auth", "list", "-o", "json", **remote)).status == 0
    assert (await world.run("policy", "get", **remote)).out == TAGS


async def test_the_list_of_what_waits_has_ssh_sessions_in_a_table_of_their_own(world: World) -> None:
    (auth_id,) = await world.fill("{session}")
    table, listed = await world.run("auth", "list"), await world.run("auth", "list", "-o", "json")
    assert "SSH from" in table.out and auth_id in table.out
    (found,) = [one for one in listed.data if one["authId"] == auth_id]
    assert found["localUser"] == "root" and found["user"] == "root" and found["source"] and found["destination"]
