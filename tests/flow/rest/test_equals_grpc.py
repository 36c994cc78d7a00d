"""REST gives the answer that gRPC gives: every one of the 29 calls, made both ways, done and refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass
from headscale.v1 import apikey_pb2, headscale_pb2

from gateway.admin.rest.serving import HTTP_STATUS
from gateway.admin.rest.v1.operations import BY_RPC, OPERATIONS
from tests.fakes.ssh import session_that_waits
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

SERVICE = headscale_pb2.DESCRIPTOR.services_by_name["HeadscaleService"]
POLICY = '{"tagOwners": {"tag:web": []}, "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'
LOGIN = "hskey-authreq-0000000000000000000000{:02x}"
CHANGING = ("id", "userId", "createdAt", "updatedAt", "expiration", "expiry", "lastSeen", "key", "apiKey", "prefix")
KEYS = ("machineKey", "nodeKey")


@dataclass
class Both:
    """One administrator with two ways to the same server."""

    tailnet: Tailnet
    web: httpx.AsyncClient
    key: str

    async def grpc(self, rpc: str, fields: Mapping[str, Any]) -> tuple[str, Any]:
        """Call over gRPC: the status's name, and the answer as protobuf's JSON or the text."""
        request = json_format.ParseDict(fields, GetMessageClass(SERVICE.methods_by_name[rpc].input_type)())
        try:
            answer = await getattr(self.tailnet.admin, rpc)(request)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details()
        return "OK", json_format.MessageToDict(answer, always_print_fields_with_no_presence=True)

    async def rest(self, rpc: str, fields: Mapping[str, Any]) -> tuple[str, Any]:
        """Call over HTTP, in the same form."""
        operation = BY_RPC[rpc]
        rest = dict(fields)
        path = operation.path.format(**{name: rest.pop(name) for name in operation.path_fields})
        query = {} if operation.body else {name: str(value) for name, value in rest.items()}
        answer = await self.web.request(
            operation.verb, f"/api/v1{path}", params=query, content=orjson.dumps(rest) if operation.body else None
        )
        body = answer.json()
        if answer.status_code == 200:
            return "OK", without_null(body)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (body["status"], body["detail"]) == (answer.status_code, body["message"])
        code = next(code for code in grpc.StatusCode if code.value[0] == body["code"])
        assert HTTP_STATUS.get(code, 500) == answer.status_code
        return code.name, body["detail"]


def without_null(value: Any) -> Any:
    """JSON without the members that gRPC's JSON leaves out."""
    if isinstance(value, dict):
        return {name: without_null(member) for name, member in value.items() if member is not None}
    return [without_null(item) for item in value] if isinstance(value, list) else value


def shape(value: Any) -> Any:
    """An answer without what differs from call to call: ids, times, secrets."""
    if isinstance(value, dict):
        return {name: "…" if name in (*CHANGING, *KEYS) else shape(member) for name, member in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    config = config_in(tmp_path, admin_calls_per_second=10_000)
    async with tailnet_in(tmp_path, config) as tailnet:
        key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=tailnet.url, headers=headers, timeout=20) as web:
            yield Both(tailnet, web, key)


@dataclass
class Step:
    """A call, and the call that undoes it so that the other way can make it too."""

    rpc: str
    fields: dict[str, Any] = field(default_factory=dict)
    undo: tuple[str, dict[str, Any]] | None = None


# References such as "$user" are filled from answers before.
STEPS = (
    Step("Health"),
    Step("CheckPolicy", {"policy": POLICY}),
    Step("SetPolicy", {"policy": POLICY}),
    Step("GetPolicy"),
    Step(
        "CreateUser",
        {"name": "bob", "email": "bob@example.com", "display_name": "Bob", "picture_url": "https://example.com/b.png"},
        ("DeleteUser", {"id": "$new"}),
    ),
    Step("RenameUser", {"old_id": "$user", "new_name": "alice"}),
    Step("ListUsers"),
    Step("ListUsers", {"name": "alice"}),
    Step("CreatePreAuthKey", {"user": "$user", "reusable": True, "acl_tags": ["tag:web"]}),
    Step("CreatePreAuthKey", {"user": "$user", "ephemeral": True, "expiration": "2040-01-01T00:00:00.5Z"}),
    Step("ListPreAuthKeys"),
    Step("ExpirePreAuthKey", {"id": "1"}),
    Step("CreateApiKey", {"expiration": "2040-01-01T00:00:00Z"}),
    Step("ListApiKeys"),
    Step("GetNode", {"node_id": "$node"}),
    Step("ListNodes"),
    Step("ListNodes", {"user": "alice"}),
    Step("RenameNode", {"node_id": "$node", "new_name": "press"}),
    Step("ExpireNode", {"node_id": "$node", "expiry": "2041-02-03T04:05:06Z"}),
    Step("ExpireNode", {"node_id": "$node", "disable_expiry": True}),
    Step("SetApprovedRoutes", {"node_id": "$node", "routes": ["10.0.0.0/8", "0.0.0.0/0"]}),
    Step("BackfillNodeIPs", {"confirmed": True}),
    Step("SetTags", {"node_id": "$node", "tags": ["tag:web"]}),
)

TWICE = ("DeletePreAuthKey", "DeleteApiKey", "ExpireApiKey", "DeleteNode", "DeleteUser")
LOGINS = ("DebugCreateNode", "RegisterNode", "AuthRegister", "AuthApprove", "AuthReject")


def test_every_call_has_its_place_in_a_table_here() -> None:
    assert {operation.rpc for operation in OPERATIONS} == set(SERVICE.methods_by_name)
    assert {step.rpc for step in STEPS}.union(TWICE, LOGINS) == set(SERVICE.methods_by_name)


async def login(both: Both, number: int, routes: tuple[str, ...] = ()) -> str:
    name = LOGIN.format(number)
    fields = {"user": "alice", "key": name, "name": "web", "routes": list(routes)}
    assert (await both.grpc("DebugCreateNode", fields))[0] == "OK"
    return name


async def node(both: Both, number: int) -> str:
    auth_id = await login(both, number, ("10.0.0.0/8",))
    return str((await both.grpc("AuthRegister", {"user": "alice", "auth_id": auth_id}))[1]["node"]["id"])


async def test_the_same_call_has_the_same_answer(both: Both) -> None:
    known = {"$user": str(await both.tailnet.user("alice")), "$node": await node(both, 1)}
    for step in STEPS:
        fields = {name: known.get(value, value) if isinstance(value, str) else value
                  for name, value in step.fields.items()}  # fmt: skip
        said = []
        for way in (both.grpc, both.rest):
            status, answer = await way(step.rpc, fields)
            assert status == "OK", (step.rpc, way, answer)
            said.append(shape(answer))
            if step.undo:
                await both.grpc(step.undo[0], {"id": answer["user"]["id"]})
        assert said[0] == said[1], step.rpc


async def test_what_can_be_done_once_is_done_alike(both: Both) -> None:
    await both.tailnet.user("alice")
    said: dict[str, list[Any]] = {name: [] for name in TWICE}
    for number, way in enumerate((both.grpc, both.rest)):
        user = await both.tailnet.user(f"bob{number}")
        key = (await both.grpc("CreatePreAuthKey", {"user": user}))[1]["preAuthKey"]["id"]
        await both.grpc("CreateApiKey", {})
        prefix = (await both.grpc("ListApiKeys", {}))[1]["apiKeys"][-1]["prefix"]
        fields: dict[str, dict[str, Any]] = {
            "DeletePreAuthKey": {"id": key},
            "ExpireApiKey": {"prefix": prefix},
            "DeleteApiKey": {"prefix": prefix},
            "DeleteNode": {"node_id": await node(both, number)},
            "DeleteUser": {"id": str(user)},
        }
        for name, request in fields.items():
            said[name].append(await way(name, request))
        for name in ("DeletePreAuthKey", "DeleteApiKey", "DeleteNode", "DeleteUser"):
            said[name].append(await way(name, fields[name]))
    for name, answers in said.items():
        half = len(answers) // 2
        assert answers[:half] == answers[half:], name
        assert answers[0] == ("OK", {}), name
    assert all(said[name][1][0] == "NOT_FOUND" for name in said if name != "ExpireApiKey")


async def test_logins_are_made_approved_and_refused_alike(both: Both) -> None:
    await both.tailnet.user("alice")
    said = []
    for number, way in enumerate((both.grpc, both.rest)):
        first, second, third = (LOGIN.format(16 * (number + 1) + index) for index in range(3))
        said.append(
            [
                shape(await way(rpc, fields))
                for rpc, fields in (
                    ("DebugCreateNode", {"user": "alice", "key": first, "name": "web", "routes": ["10.1.2.3/16"]}),
                    ("DebugCreateNode", {"user": "alice", "key": first, "name": "web"}),
                    ("AuthApprove", {"auth_id": first}),
                    ("AuthRegister", {"user": "alice", "auth_id": first}),
                    ("AuthApprove", {"auth_id": first}),
                    ("AuthReject", {"auth_id": first}),
                    ("DebugCreateNode", {"user": "alice", "key": second, "name": "web"}),
                    ("RegisterNode", {"user": "alice", "key": second}),
                    ("DebugCreateNode", {"user": "alice", "key": third, "name": "web"}),
                    ("AuthReject", {"auth_id": third}),
                    ("AuthRegister", {"user": "alice", "auth_id": third}),
                )
            ]
        )
        for listed in (await both.grpc("ListNodes", {}))[1]["nodes"]:
            await both.grpc("DeleteNode", {"node_id": listed["id"]})
    strip = json.dumps(said[1]).replace("100.64.0.3", "100.64.0.1")
    assert [status for status, _ in json.loads(strip)] == [status for status, _ in said[0]]
    for one, other in zip(*said, strict=True):
        if one[0] != "OK":
            assert one == other
        else:
            assert set(one[1].get("node", {})) == set(other[1].get("node", {}))


async def test_ssh_sessions_are_approved_and_refused_alike(both: Both, tmp_path: Path) -> None:
    await both.tailnet.user("alice")
    await node(both, 1)
    await node(both, 2)
    source, destination = await both.tailnet.nodes()
    said = []
    for way in (both.grpc, both.rest):
        yes, no = [await session_that_waits(tmp_path / "db.sqlite", source, destination) for _ in range(2)]
        said.append(
            [
                await way(rpc, {"auth_id": auth_id, **more})
                for rpc, auth_id, more in (
                    ("AuthApprove", yes, {}),
                    ("AuthApprove", yes, {}),
                    ("AuthReject", yes, {}),
                    ("AuthReject", no, {}),
                    ("AuthReject", no, {}),
                    ("AuthApprove", no, {}),
                    ("AuthRegister", no, {"user": "alice"}),
                )
            ]
        )
    assert said[0] == said[1]
    codes = ["OK", "OK", "FAILED_PRECONDITION", "OK", "OK", "FAILED_PRECONDITION", "NOT_FOUND"]
    assert [code for code, _ in said[0]] == codes


WRONG: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("CreateUser", {}, "INVALID_ARGUMENT"),
    ("CreateUser", {"name": "x" * 3000}, "INVALID_ARGUMENT"),
    ("CreateUser", {"name": "a\tb"}, "INVALID_ARGUMENT"),
    ("CreateUser", {"name": "alice"}, "ALREADY_EXISTS"),
    ("CreateUser", {"name": "eve", "picture_url": "javascript:alert(1)"}, "INVALID_ARGUMENT"),
    ("RenameUser", {"old_id": "99", "new_name": "eve"}, "NOT_FOUND"),
    ("RenameUser", {"old_id": "18446744073709551615", "new_name": "eve"}, "INVALID_ARGUMENT"),
    ("DeleteUser", {"id": "99"}, "NOT_FOUND"),
    ("ListNodes", {"user": "nobody"}, "NOT_FOUND"),
    ("CreatePreAuthKey", {}, "INVALID_ARGUMENT"),
    ("CreatePreAuthKey", {"user": "99"}, "NOT_FOUND"),
    ("CreatePreAuthKey", {"user": "1", "acl_tags": ["web"]}, "INVALID_ARGUMENT"),
    ("CreatePreAuthKey", {"user": "1", "acl_tags": ["tag:a"] * 3000}, "INVALID_ARGUMENT"),
    ("ExpirePreAuthKey", {"id": "99"}, "NOT_FOUND"),
    ("DeletePreAuthKey", {"id": "99"}, "NOT_FOUND"),
    ("DebugCreateNode", {"user": "alice", "key": "x"}, "INVALID_ARGUMENT"),
    ("DebugCreateNode", {"user": "alice", "key": LOGIN.format(9), "routes": ["x"]}, "INVALID_ARGUMENT"),
    ("DebugCreateNode", {"user": "nobody", "key": LOGIN.format(9)}, "NOT_FOUND"),
    ("GetNode", {"node_id": "99"}, "NOT_FOUND"),
    ("SetTags", {"node_id": "99", "tags": ["tag:web"]}, "NOT_FOUND"),
    ("SetTags", {"node_id": "99", "tags": []}, "INVALID_ARGUMENT"),
    ("SetApprovedRoutes", {"node_id": "99", "routes": ["everything"]}, "INVALID_ARGUMENT"),
    ("SetApprovedRoutes", {"node_id": "99"}, "NOT_FOUND"),
    ("RegisterNode", {"user": "alice", "key": LOGIN.format(9)}, "NOT_FOUND"),
    ("RegisterNode", {"user": "alice"}, "INVALID_ARGUMENT"),
    ("DeleteNode", {"node_id": "99"}, "NOT_FOUND"),
    ("ExpireNode", {"node_id": "99"}, "NOT_FOUND"),
    ("ExpireNode", {"node_id": "1", "disable_expiry": True, "expiry": "2040-01-01T00:00:00Z"}, "INVALID_ARGUMENT"),
    ("ExpireNode", {"node_id": "1", "expiry": "9999-12-31T00:00:00Z"}, "INVALID_ARGUMENT"),
    ("RenameNode", {"node_id": "99", "new_name": "web"}, "NOT_FOUND"),
    ("RenameNode", {"node_id": "99", "new_name": "not a label"}, "INVALID_ARGUMENT"),
    ("BackfillNodeIPs", {}, "INVALID_ARGUMENT"),
    ("AuthRegister", {"auth_id": LOGIN.format(9)}, "INVALID_ARGUMENT"),
    ("AuthRegister", {"user": "alice", "auth_id": LOGIN.format(9)}, "NOT_FOUND"),
    ("AuthApprove", {"auth_id": LOGIN.format(9)}, "NOT_FOUND"),
    ("AuthReject", {"auth_id": "hskey-authreq-"}, "INVALID_ARGUMENT"),
    ("CreateApiKey", {"expiration": "9999-12-31T00:00:00Z"}, "INVALID_ARGUMENT"),
    ("ExpireApiKey", {}, "INVALID_ARGUMENT"),
    ("ExpireApiKey", {"prefix": "nobody", "id": "9"}, "INVALID_ARGUMENT"),
    ("ExpireApiKey", {"id": "99"}, "NOT_FOUND"),
    ("DeleteApiKey", {"prefix": "nobody"}, "NOT_FOUND"),
    ("SetPolicy", {"policy": "{"}, "INVALID_ARGUMENT"),
    ("CheckPolicy", {"policy": '{"acls": [{"action": "deny"}]}'}, "INVALID_ARGUMENT"),
    ("GetPolicy", {}, "NOT_FOUND"),
)


async def test_what_is_wrong_is_refused_alike_and_changes_nothing(both: Both) -> None:
    await both.tailnet.user("alice")
    for rpc, fields, status in WRONG:
        over_grpc, over_rest = await both.grpc(rpc, fields), await both.rest(rpc, fields)
        assert over_grpc == over_rest, (rpc, fields)
        assert over_grpc[0] == status, (rpc, fields, over_grpc)
    assert [user["name"] for user in (await both.grpc("ListUsers", {}))[1]["users"]] == ["alice"]
    assert (await both.grpc("ListNodes", {}))[1] == {"nodes": []}
    assert len((await both.grpc("ListApiKeys", {}))[1]["apiKeys"]) == 1
