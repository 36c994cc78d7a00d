"""`-o json` and `-o yaml` of every Headscale command equal Headscale 0.29.2's: names, order, types, absent members.

The expected documents were made from outputs of a real server; values that differ at each run stand as their kind.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from headscale.v1 import apikey_pb2, node_pb2, policy_pb2, preauthkey_pb2, user_pb2

from tests.fakes.tailnet import config_in, tailnet_in
from tests.flow.cli.world import TAGS, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

_KINDS = (
    (re.compile(r"(mkey|nodekey|discokey):[0-9a-f]{64}"), r"\1:"),
    (re.compile(r"hskey-(auth|api)-[0-9A-Za-z_-]{12}-\*\*\*"), r"hskey-\1-PREFIX-***"),
    (re.compile(r"hskey-(auth|api)-[0-9A-Za-z_-]{12}-[0-9A-Za-z_-]{64}"), r"hskey-\1-PREFIX-SECRET"),
    (re.compile(r"privkey:[0-9a-f]{64}"), "privkey:"),
)
ALICE = {
    "id": 1, "name": "alice", "created_at": "time", "display_name": "Alice Example", "email": "alice@example.com",
    "profile_pic_url": "https://pictures.example.com/alice.png",
}  # fmt: skip
BOB = {"id": 2, "name": "bob", "created_at": "time"}
TAGGED = {
    "id": 2147455555, "name": "tagged-devices", "created_at": {"seconds": -62135596800},
    "display_name": "Tagged Devices",
}  # fmt: skip
KEYS = {"machine_key": "mkey:", "node_key": "nodekey:", "disco_key": "discokey:"}
AUTH_KEY = {
    "user": ALICE, "id": 1, "key": "hskey-auth-PREFIX-***", "reusable": True, "expiration": "time",
    "created_at": "time",
}  # fmt: skip
LAPTOP = {
    "id": 1, **KEYS, "ip_addresses": ["100.64.0.1", "fd7a:115c:a1e0::1"], "name": "laptop", "user": ALICE,
    "last_seen": "time", "pre_auth_key": AUTH_KEY, "created_at": "time", "register_method": 1, "given_name": "laptop",
    "online": True,
}  # fmt: skip
ROUTER = {
    "id": 2, **KEYS, "ip_addresses": ["100.64.0.2", "fd7a:115c:a1e0::2"],
    "name": "router", "user": BOB, "last_seen": "time", "created_at": "time", "register_method": 2,
    "given_name": "router",
    "available_routes": ["10.20.0.0/16", "192.168.77.0/24"],
}  # fmt: skip
APPROVED = {**ROUTER, "approved_routes": ["10.20.0.0/16"], "available_routes": ROUTER["available_routes"]}
"""A router that is away serves nothing, so it has no `subnet_routes`."""

LIVES: list[tuple[str, Any]] = [
    ("users create alice -d Alice~Example -e alice@example.com -p https://pictures.example.com/alice.png", ALICE),
    ("users create bob", BOB),
    ("users create carol", {"id": 3, "name": "carol", "created_at": "time"}),
    ("users rename -i 3 -r dora", {"id": 3, "name": "dora", "created_at": "time"}),
    ("users list", [ALICE, BOB, {"id": 3, "name": "dora", "created_at": "time"}]),
    ("users destroy -i 3 --force", {}),
    ("preauthkeys create -u 1 --reusable -e 24h", {**AUTH_KEY, "key": "hskey-auth-PREFIX-SECRET"}),
    ("JOIN laptop", None),
    ("nodes list", [LAPTOP]),
    ("preauthkeys create -u 2 --ephemeral", {
        "user": BOB, "id": 2, "key": "hskey-auth-PREFIX-SECRET", "ephemeral": True, "expiration": "time",
        "created_at": "time",
    }),
    ("preauthkeys create --tags tag:web", {
        "id": 3, "key": "hskey-auth-PREFIX-SECRET", "expiration": "time", "created_at": "time", "acl_tags": ["tag:web"],
    }),
    ("preauthkeys list", [
        AUTH_KEY,
        {"user": BOB, "id": 2, "key": "hskey-auth-PREFIX-***", "ephemeral": True, "expiration": "time",
         "created_at": "time"},
        {"id": 3, "key": "hskey-auth-PREFIX-***", "expiration": "time", "created_at": "time", "acl_tags": ["tag:web"]},
    ]),
    ("preauthkeys expire -i 2", {}),
    ("preauthkeys delete -i 2", {}),
    ("debug create-node --name router -u bob -k hskey-authreq-0123456789abcdef01234567 "
     "-r 10.20.0.0/16,192.168.77.0/24", None),
    ("auth register --auth-id hskey-authreq-0123456789abcdef01234567 -u bob", ROUTER),
    ("nodes approve-routes -i 2 -r 10.20.0.0/16", APPROVED),
    ("nodes list-routes", [APPROVED]),
    ("nodes rename -i 2 gate", {**APPROVED, "given_name": "gate"}),
    ("nodes expire -i 2 -e 2040-01-31T12:00:00Z", {
        **ROUTER, "expiry": {"seconds": 2211624000}, **APPROVED, "given_name": "gate",
    }),
    ("nodes tag -i 2 -t tag:web", None),
    ("nodes list", [LAPTOP, {
        **ROUTER, "user": TAGGED, "given_name": "gate", "approved_routes": ["10.20.0.0/16"], "tags": ["tag:web"],
    }]),
    ("nodes delete -i 2 --force", {"Result": "Node deleted"}),
    ("nodes backfillips --force", {}),
    ("debug create-node --name x -u bob -k hskey-authreq-0123456789abcdef01234568", None),
    ("auth reject --auth-id hskey-authreq-0123456789abcdef01234568", {}),
    ("apikeys create", "hskey-api-PREFIX-SECRET"),
    ("apikeys list", [{"id": 1, "prefix": "hskey-api-PREFIX-***", "expiration": "time", "created_at": "time"}]),
    ("apikeys expire -i 1", {}),
    ("apikeys delete -i 1", {}),
    ("health", {"database_connectivity": True}),
    ("generate private-key", {"private_key": "privkey:"}),
]  # fmt: skip


def kind(value: Any) -> Any:
    """The value with what differs at each run replaced by what it is."""
    if isinstance(value, list):
        return [kind(item) for item in value]
    if isinstance(value, dict):
        is_time = {"seconds"} <= set(value) <= {"seconds", "nanos"} and 1_700_000_000 < value["seconds"] < 2_200_000_000
        return "time" if is_time else {key: kind(item) for key, item in value.items() if not of_server(key, value)}
    if isinstance(value, str):
        for pattern, word in _KINDS:
            value = pattern.sub(word, value)
    return value


def of_server(member: str, value: dict[str, Any]) -> bool:
    """Whether a member is a choice of the server that the command line only prints."""
    return member == "subnet_routes" and not value.get("online", False)


NODE, PRE_AUTH_KEY, API_KEY, USER = (
    [field.name for field in message.DESCRIPTOR.fields]
    for message in (node_pb2.Node, preauthkey_pb2.PreAuthKey, apikey_pb2.ApiKey, user_pb2.User)
)


def as_lines(value: Any) -> list[str]:
    return json.dumps(value, indent=1).splitlines()


def in_order(value: Any) -> Any:
    """The value with members in the order of the fields of their message, as Go prints them."""
    if isinstance(value, list):
        return [in_order(item) for item in value]
    if not isinstance(value, dict) or "id" not in value:
        return value
    fields = next(order for order in (USER, API_KEY, PRE_AUTH_KEY, NODE) if set(value) <= set(order))
    return {name: in_order(value[name]) for name in fields if name in value}


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with tailnet_in(tmp_path, config_in(tmp_path, admin_calls_per_second=1000)) as tailnet:
        await tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy='{"tagOwners": {"tag:web": []}}'))
        yield World(tailnet, tmp_path, "")


async def test_json_of_each_command_is_that_of_headscale(world: World) -> None:
    key, differences = "", list[str]()
    for command, expected in LIVES:
        if command.startswith("JOIN "):
            await world.tailnet.device(command.split()[1]).join(key)
            continue
        answer = await world.run(*(word.replace("~", " ") for word in command.split()), "-o", "json")
        assert (answer.status, answer.err) == (0, ""), command
        if command.startswith("preauthkeys create"):
            key = key or answer.data["key"]
        if expected is not None:
            wanted, given = as_lines(in_order(expected)), as_lines(kind(answer.data))
            differences += unified_diff(wanted, given, command, "ours", lineterm="", n=1)
            assert answer.out == json.dumps(answer.data, indent="\t", ensure_ascii=False) + "\n", "as Go prints it"
    assert not differences, "\n".join(differences)


async def test_each_form_of_a_list_is_one_document_of_the_same_data(world: World) -> None:
    await world.run("users", "create", "alice")
    for count in (1, 2):
        as_json = await world.run("users", "list", "-o", "json")
        line = await world.run("users", "list", "-o", "json-line")
        assert line.out.count("\n") == 1 and line.out.endswith("\n")
        assert json.loads(line.out) == as_json.data and len(as_json.data) == count
        await world.run("users", "create", "bob")
    as_yaml = yaml.safe_load((await world.run("users", "list", "-o", "yaml")).out)
    assert list(as_yaml[0]) == [
        "id", "name", "createdat", "displayname", "email", "providerid", "provider", "profilepicurl",
    ]  # fmt: skip
    assert as_yaml[1]["id"] == 2 and as_yaml[1]["email"] == "" and set(as_yaml[1]["createdat"]) == {"seconds", "nanos"}


async def test_a_policy_is_printed_as_it_is_in_each_form(world: World) -> None:
    refused = await world.run("policy", "get", "999", "-o", "json")
    assert (refused.status, refused.out) == (1, "") and "error" in json.loads(refused.err)
    assert (await world.run("policy", "get", "999")).err.endswith("headscale policy versions\n")
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=TAGS))
    for words in ((), ("-o", "json"), ("-o", "json-line"), ("-o", "yaml")):
        assert (await world.run("policy", "get", *words)).out == TAGS
    assert (await world.run("policy", "get", "-o", "json", "--modern")).data["policy"] == TAGS


@pytest.mark.parametrize(
    ("words", "status"),
    [("users destroy -n nobody --force", 1), ("nodes list --foo", 2), ("nodes list -u nobody", 1), ("nodes bogus", 2)],
)
async def test_a_refusal_is_a_document_with_the_member_error(world: World, words: str, status: int) -> None:
    told = await world.run(*words.split(), "-o", "json")
    assert (told.status, told.out) == (status, "")
    assert list(json.loads(told.err)) == ["error"]
    assert list(yaml.safe_load((await world.run(*words.split(), "-o", "yaml")).err)) == ["error"]
    assert (await world.run(*words.split(), "-o", "json-line")).err.count("\n") == 1


async def test_the_script_that_expires_what_was_not_seen_for_a_day_finds_nothing(world: World) -> None:
    await world.run("users", "create", "alice")
    key = (await world.run("preauthkeys", "create", "-u", "1")).out.strip()
    await world.tailnet.device("laptop").join(key)
    (node,) = (await world.run("nodes", "list", "-o", "json")).data
    assert node["last_seen"]["seconds"] > 1_700_000_000, "jq holds null to be less than any number"
    assert node["given_name"] == "laptop" and node["id"] == 1
