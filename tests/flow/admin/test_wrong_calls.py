"""Wrong types, sizes, paths and nonsense of every kind: named, refused, and nothing is changed."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import httpx
import orjson
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from headscale.v1 import headscale_pb2, user_pb2

from tests.fakes.tailnet import Tailnet
from tests.flow.admin.answers import refused

SERVICE = headscale_pb2.DESCRIPTOR.services_by_name["HeadscaleService"]
WRONG: tuple[tuple[str, str, Any, str], ...] = (
    ("POST", "/user", {"name": 7}, "name: not a text"),
    ("POST", "/user", {"name": ["a"]}, "name: not a text"),
    ("POST", "/user", {"name": "x" * 5000}, "name: longer"),
    ("POST", "/user", {"name": "al\u202eice"}, "name: has control characters"),
    ("POST", "/user", {"name": "alice", "displayName": "a\nb"}, "display_name: has control characters"),
    ("POST", "/preauthkey", {"user": True}, "user: not a number"),
    ("POST", "/preauthkey", {"user": 1.5}, "user: not a number"),
    ("POST", "/preauthkey", {"user": -1}, "user: not a whole number"),
    ("POST", "/preauthkey", {"user": "99999999999999999999999"}, "user: not a whole number"),
    ("POST", "/preauthkey", {"user": 2**63}, "user: larger than any id"),
    ("POST", "/preauthkey", {"user": 1, "reusable": "yes"}, "reusable: not true or false"),
    ("POST", "/preauthkey", {"user": 1, "expiration": "soon"}, "expiration: not a time"),
    ("POST", "/preauthkey", {"user": 1, "expiration": 4}, "expiration: not a text"),
    ("POST", "/preauthkey", {"user": 1, "aclTags": "tag:a"}, "aclTags: not a list"),
    ("POST", "/preauthkey", {"user": 1, "aclTags": ["tag:a", 7]}, "aclTags[1]: not a text"),
    ("POST", "/preauthkey", {"user": 1, "aclTags": ["tag:a"] * 5000}, "acl_tags: more than"),
    ("POST", "/node/1/tags", {"tags": {"tag:a": 1}}, "tags: not a list"),
    ("GET", "/node/one", None, "nodeId: not a whole number"),
    ("GET", "/node/-1", None, "nodeId: not a whole number"),
    ("GET", "/node/9223372036854775808", None, "node_id: larger than any id"),
    ("DELETE", "/preauthkey", None, "pre-auth key not found"),
    ("DELETE", "/preauthkey?id=x", None, "id: not a whole number"),
    ("DELETE", "/preauthkey?id=1&id=2", None, "id: given more than once"),
    ("GET", "/user?id=x", None, "id: not a whole number"),
    ("GET", "/user?limit=0", None, "limit: not from 1 to"),
    ("GET", "/user?limit=x", None, "limit: not a whole number"),
    ("GET", "/user?after=x", None, "after: not a whole number"),
    ("GET", "/node?online=perhaps", None, "online: not true or false"),
    ("POST", "/node/backfillips?confirmed=perhaps", None, "confirmed: not true or false"),
    ("POST", "/node/1/expire?expiry=soon", None, "expiry: not a time"),
    ("DELETE", "/apikey/aaaaaaaaaaaa?id=1", None, "either the prefix or the id"),
)


@pytest.mark.parametrize(("verb", "path", "body", "text"), WRONG)
async def test_a_wrong_parameter_is_named(web: httpx.AsyncClient, verb: str, path: str, body: Any, text: str) -> None:
    answer = await web.request(verb, path, content=None if body is None else orjson.dumps(body))
    refused(answer, 404 if "not found" in text else 400, text)


@pytest.mark.parametrize(
    "body", [b"{", b"null", b"[]", b"7", b'"x"', b'{"name":NaN}', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5000]
)
async def test_a_body_that_is_no_object_is_refused(web: httpx.AsyncClient, body: bytes) -> None:
    refused(await web.post("/user", content=body), 400, "body: not")


async def test_a_body_beyond_all_measure_is_refused(web: httpx.AsyncClient) -> None:
    refused(await web.put("/policy", content=b'{"policy":"' + b"x" * (5 << 20) + b'"}'), 413, "body: larger")


async def test_unknown_members_and_null_say_nothing(web: httpx.AsyncClient) -> None:
    body = {"name": "alice", "email": None, "shoe": 43, "display_name": "Alice"}
    user = (await web.post("/user", json=body)).json()["user"]
    assert (user["name"], user["email"], user["displayName"], user["id"]) == ("alice", "", "Alice", "1")


async def test_paths_and_methods_that_are_not_there(web: httpx.AsyncClient) -> None:
    refused(await web.get("/nothing"), 404)
    refused(await web.get("/user/1/rename"), 404)
    wrong = await web.patch("/user")
    refused(wrong, 405, "GET, POST")
    assert wrong.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    asked = await web.options("/user/1")
    assert (asked.status_code, asked.headers["allow"]) == (204, "DELETE, OPTIONS")
    assert (await web.head("/user")).status_code == 200


async def test_nonsense_of_every_kind_over_grpc_changes_nothing_and_is_no_fault(tailnet: Tailnet) -> None:
    for method in SERVICE.methods:
        for value in ("", "\0", "x" * 70_000, "tag:", "hskey-authreq-zz", "٣", "-1"):
            request = filled(GetMessageClass(method.input_type)(), value)
            try:
                await getattr(tailnet.admin, method.name)(request)
            except grpc.aio.AioRpcError as error:
                assert error.code() in (
                    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION
                ), (method.name, value, error.details())  # fmt: skip
                assert len(error.details() or "") < 7000
    assert list((await tailnet.admin.ListUsers(user_pb2.ListUsersRequest())).users) == []


def filled(request: Message, value: str) -> Message:
    """A request with the same nonsense everywhere."""
    for field in request.DESCRIPTOR.fields:
        if field.message_type is not None:
            getattr(request, field.name).seconds = -(1 << 62)
        elif field.is_repeated:
            getattr(request, field.name).extend([value] * 3)
        elif field.type == field.TYPE_STRING:
            setattr(request, field.name, value)
        elif field.type == field.TYPE_UINT64:
            setattr(request, field.name, (1 << 64) - 1)
    return request


async def test_two_who_do_the_same_at_once_do_it_once(web: httpx.AsyncClient) -> None:
    made = await asyncio.gather(*(web.post("/user", json={"name": "alice"}) for _ in range(8)))
    assert sorted(answer.status_code for answer in made) == [200] + [409] * 7
    user = next(answer for answer in made if answer.status_code == 200).json()["user"]["id"]
    gone = await asyncio.gather(*(web.delete(f"/user/{user}") for _ in range(8)))
    assert sorted(answer.status_code for answer in gone) == [200] + [404] * 7
