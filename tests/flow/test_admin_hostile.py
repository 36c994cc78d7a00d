"""Administration under wrong use: keys, limits, types, sizes, older clients, and what is not reachable at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import orjson
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from headscale.v1 import apikey_pb2, headscale_pb2, headscale_pb2_grpc, preauthkey_pb2, user_pb2
from prometheus_client import generate_latest

from gateway.admin import older
from gateway.admin.rest import openapi
from gateway.admin.rest.operations import EVERY, OPERATIONS
from gateway.admin.server import address_of
from gateway.rate import Buckets, network_of
from tests.e2e.alone import free_port
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

SERVICE = headscale_pb2.DESCRIPTOR.services_by_name["HeadscaleService"]


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path, config_in(tmp_path, admin_calls_per_second=10_000)) as running:
        yield running


@pytest.fixture
async def key(tailnet: Tailnet) -> str:
    return str((await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key)


@pytest.fixture
async def web(tailnet: Tailnet, key: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=tailnet.url + "/api/v1", headers=headers, timeout=20) as client:
        yield client


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    """An error that clients of either kind can read, and that names what is wrong."""
    body = answer.json()
    assert answer.status_code == status, body
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) == {"title", "status", "detail", "code", "message", "details"}
    assert body["status"] == status and body["detail"] == body["message"] and body["details"] == []
    for word in words:
        assert word in body["detail"]


# Keys


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Basic eDp5", "bearer x", "Bearer hskey-api-aaaaaaaaaaaa-" + "0" * 64,
               "Bearer " + "x" * 9000, "Bearer hskey-auth-aaaaaaaaaaaa-" + "0" * 64, "Bearer \x80\xff"]
)  # fmt: skip
async def test_only_a_valid_key_opens_the_door(tailnet: Tailnet, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    async with httpx.AsyncClient(base_url=tailnet.url) as client:
        for path in ("/api/v1/user", "/api/v1/health", "/api/v1/nothing", "/api/v1"):
            answer = await client.get(path, headers=headers)
            refused(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_that_ended_is_refused_at_once_and_one_that_is_used_says_when(
    tailnet: Tailnet, web: httpx.AsyncClient, key: str
) -> None:
    past = Timestamp(seconds=1_000_000_000)
    over = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest(expiration=past))).api_key
    refused(await web.get("/user", headers={"authorization": f"Bearer {over}"}), 401)
    assert (await web.get("/user")).status_code == 200
    (mine,) = [one for one in (await web.get("/apikey")).json()["apiKeys"] if one["prefix"] in key]
    assert mine["lastSeen"] and mine["expiration"] > mine["createdAt"]
    assert (await web.post("/apikey/expire", json={"prefix": mine["prefix"]})).status_code == 200
    refused(await web.get("/user"), 401)


async def test_the_zero_time_of_go_clients_is_no_expiration(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    zero = "0001-01-01T00:00:00Z"
    fresh = (await web.post("/apikey", json={"expiration": zero})).json()["apiKey"]
    assert (await web.get("/user", headers={"authorization": f"Bearer {fresh}"})).status_code == 200
    (listed,) = [one for one in (await web.get("/apikey")).json()["apiKeys"] if one["prefix"] in fresh]
    days = datetime.fromisoformat(listed["expiration"]) - datetime.fromisoformat(listed["createdAt"])
    assert days == timedelta(days=90)
    user = await tailnet.user("zero")
    made = (await web.post("/preauthkey", json={"user": user, "expiration": zero})).json()["preAuthKey"]
    assert made["expiration"] > made["createdAt"]


async def test_too_many_calls_and_too_many_wrong_keys_are_told_when_to_come_back(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path, config_in(tmp_path, admin_calls_per_second=1)) as tailnet:
        key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=tailnet.url, headers=headers) as client:
            answers = [await client.get("/api/v1/user") for _ in range(12)]
        assert answers[0].status_code == 200
        refused(answers[-1], 429, "too many calls")
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60


async def test_wrong_keys_are_few(tailnet: Tailnet) -> None:
    headers = {"authorization": "Bearer hskey-api-aaaaaaaaaaaa-" + "0" * 64}
    async with httpx.AsyncClient(base_url=tailnet.url, headers=headers) as client:
        answers = [await client.get("/api/v1/user") for _ in range(22)]
    refused(answers[0], 401, "invalid token")
    refused(answers[-1], 429, "too many wrong keys")
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_a_key_in_use_is_not_locked_out_by_guesses_from_the_same_address(
    web: httpx.AsyncClient, tailnet: Tailnet
) -> None:
    assert (await web.get("/user")).status_code == 200
    for _ in range(30):
        await web.get("/user", headers={"authorization": "Bearer x"})
    fresh = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
    refused(await web.get("/user", headers={"authorization": f"Bearer {fresh}"}), 429)
    assert (await web.get("/user")).status_code == 200


async def test_limits_hold_over_grpc_too(tmp_path: Path) -> None:
    port = free_port()
    config = replace(
        config_in(tmp_path, admin_calls_per_second=1), grpc_listen_addr=f"127.0.0.1:{port}", grpc_allow_insecure=True
    )
    async with tailnet_in(tmp_path, config) as tailnet:
        key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = headscale_pb2_grpc.HeadscaleServiceStub(channel)
            metadata = (("authorization", f"Bearer {key}"),)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                for _ in range(12):
                    await stub.ListUsers(user_pb2.ListUsersRequest(), metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailing = caught.value.trailing_metadata()
        assert trailing is not None and int(str(dict(trailing)["retry-after"])) >= 1
        for _ in range(40):  # whoever may open the socket is trusted
            await tailnet.admin.ListUsers(user_pb2.ListUsersRequest())


@pytest.mark.parametrize(("trusted", "limited"), [(("127.0.0.1/32",), False), ((), True)])
async def test_behind_a_trusted_proxy_grpc_counts_each_client_by_itself(
    tmp_path: Path, trusted: tuple[str, ...], limited: bool
) -> None:
    port = free_port()
    config = replace(
        config_in(tmp_path), grpc_listen_addr=f"127.0.0.1:{port}", grpc_allow_insecure=True, trusted_proxies=trusted
    )
    async with tailnet_in(tmp_path, config), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = headscale_pb2_grpc.HeadscaleServiceStub(channel)

        async def guess(client: str) -> grpc.StatusCode:
            metadata = (("authorization", "Bearer x"), ("x-forwarded-for", client))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ListUsers(user_pb2.ListUsersRequest(), metadata=metadata)
            return caught.value.code()

        answers = [await guess("203.0.113.1") for _ in range(25)]
        assert answers[-1] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await guess("203.0.113.2") is grpc.StatusCode.RESOURCE_EXHAUSTED) is limited


async def test_calls_are_counted_by_what_came_of_them(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    await web.get("/user")
    await web.get("/node/99")
    await web.get("/user", headers={"authorization": "Bearer x"})
    told = generate_latest(tailnet.telemetry.registry).decode()
    assert 'smartscale_admin_calls_total{call="ListUsers",status="OK"} 1.0' in told
    assert 'smartscale_admin_calls_total{call="GetNode",status="NOT_FOUND"} 1.0' in told
    assert 'smartscale_admin_refused_total{status="UNAUTHENTICATED"} 1.0' in told


def test_buckets_refill_and_forget_the_oldest() -> None:
    buckets = Buckets(burst=2, per_second=0.5, capacity=2)
    for _ in range(2):
        assert buckets.wait("a", 0.0) == 0
        buckets.take("a", 0.0)
    assert buckets.wait("a", 0.0) == 2
    assert buckets.wait("a", 2.0) == 0
    buckets.take("b", 0.0)
    buckets.take("c", 0.0)
    assert (len(buckets), buckets.wait("a", 0.0)) == (2, 0)


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("ipv4:192.0.2.7:4711", "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3::4%5D:4711", "2001:db8:1:2::/64"),
        ("ipv6:%5B::ffff:192.0.2.7%5D:4711", "192.0.2.7"),
        ("unix:", "unix:"),
    ],
)
def test_an_address_counts_as_the_network_of_one_subscriber(peer: str, network: str) -> None:
    assert network_of(address_of(peer)) == network


# Parameters


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


# Older clients


async def test_requests_of_older_command_lines_are_understood(tailnet: Tailnet) -> None:
    admin = tailnet.admin

    def old(kind: Any, texts: dict[int, str], more: bytes = b"") -> Any:
        return kind.FromString(older.encoded(texts) + more)

    await tailnet.user("alice")
    renamed = await admin.RenameUser(old(user_pb2.RenameUserRequest, {1: "alice", 2: "anna"}))
    assert renamed.user.name == "anna"
    made = await admin.CreatePreAuthKey(old(preauthkey_pb2.CreatePreAuthKeyRequest, {1: "anna"}, b"\x10\x01"))
    assert (made.pre_auth_key.user.name, made.pre_auth_key.reusable) == ("anna", True)
    other = await tailnet.user("bob")
    await tailnet.auth_key(other)
    for request in (old(preauthkey_pb2.ListPreAuthKeysRequest, {1: "anna"}), b"\x08\x01"):
        asked = preauthkey_pb2.ListPreAuthKeysRequest.FromString(request) if isinstance(request, bytes) else request
        assert [key.id for key in (await admin.ListPreAuthKeys(asked)).pre_auth_keys] == [made.pre_auth_key.id]
    wanted = {1: "bob", 2: made.pre_auth_key.key}
    with pytest.raises(grpc.aio.AioRpcError, match="pre-auth key not found"):
        await admin.ExpirePreAuthKey(old(preauthkey_pb2.ExpirePreAuthKeyRequest, wanted))
    await admin.ExpirePreAuthKey(old(preauthkey_pb2.ExpirePreAuthKeyRequest, {2: made.pre_auth_key.key}, b"\x08\x01"))
    listed = (await admin.ListPreAuthKeys(preauthkey_pb2.ListPreAuthKeysRequest())).pre_auth_keys
    assert listed[0].expiration.ToMilliseconds() < listed[1].expiration.ToMilliseconds()
    await admin.DeleteUser(old(user_pb2.DeleteUserRequest, {1: "anna"}))
    assert [user.name for user in (await admin.ListUsers(user_pb2.ListUsersRequest())).users] == ["bob"]


async def test_paths_of_older_releases_are_answered_in_their_shape(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    alice = await tailnet.user("alice")
    node = (await tailnet.device("web").join(await tailnet.auth_key(alice))).id
    (machine,) = (await web.get("/machine")).json()["machines"]
    assert (machine["id"], machine["forcedTags"], machine["validTags"]) == (str(node), [], [])
    assert machine["lastSeen"] and machine["online"] in (True, False)
    assert (await web.post(f"/machine/{node}/rename/press")).json()["machine"]["givenName"] == "press"
    assert (await web.get("/user/alice")).json()["user"]["id"] == str(alice)
    assert (await web.get(f"/machine/{node}/routes")).json() == {"routes": []}
    refused(await web.post(f"/node/{node}/user", json={"user": "bob"}), 410, "not moved")
    refused(await web.post("/routes/17/enable"), 404, "route not found")
    assert (await web.delete(f"/machine/{node}")).json() == {}
    assert (await web.post("/user/alice/rename/anna")).json()["user"]["name"] == "anna"
    assert (await web.delete("/user/anna")).json() == {}


# Lists


async def test_a_list_is_whole_unless_a_page_is_asked_for(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    for number in range(5):
        await tailnet.user(f"user{number}")
    assert len((await web.get("/user")).json()["users"]) == 5
    seen: list[str] = []
    address: str | None = "/api/v1/user?limit=2"
    while address:
        answer = await web.get(httpx.URL(tailnet.url).join(address))
        seen += [user["id"] for user in answer.json()["users"]]
        link = answer.headers.get("link")
        address = link.split(">")[0][1:] if link else None
    assert seen == ["1", "2", "3", "4", "5"]
    await tailnet.auth_key(1)
    await tailnet.auth_key(2)
    for user in ("2", "user1"):
        keys = (await web.get("/preauthkey", params={"user": user})).json()["preAuthKeys"]
        assert [key["user"]["id"] for key in keys] == ["2"]


# What is published, and what is not


async def test_the_document_is_whole_and_open_and_the_page_is_self_contained(tailnet: Tailnet) -> None:
    async with httpx.AsyncClient(base_url=tailnet.url) as client:
        document = (await client.get("/api/v1/openapi.json")).json()
        text = await client.get("/api/v1/openapi.yaml")
        page = await client.get("/api/v1/docs")
        for path, target in (("/swagger", "/api/v1/docs"), ("/swagger/v1/openapiv2.json", "/api/v1/openapi.json")):
            moved = await client.get(path)
            assert (moved.status_code, moved.headers["location"]) == (307, target)
    assert document["openapi"] == "3.1.0"
    ids = {operation["operationId"] for verbs in document["paths"].values() for operation in verbs.values()}
    assert ids == {openapi.operation_id(operation.name or operation.rpc) for operation in EVERY}
    assert ids > {openapi.operation_id(operation.rpc) for operation in OPERATIONS}
    assert text.headers["content-type"].startswith("application/yaml") and "openapi: 3.1.0" in text.text
    assert "://" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_nothing_of_administration_is_reachable_through_a_tunnel(tailnet: Tailnet, key: str) -> None:
    device = await tailnet.device("web").connect()
    for path in ("/api/v1/user", "/api/v1/openapi.json", "/metrics", "/debug/config", "/swagger", "/health"):
        status, _, _ = await device.client.request("GET", path, b"")
        assert status == 404, path
