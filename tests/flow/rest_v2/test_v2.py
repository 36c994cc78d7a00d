"""/api/v2 answers in the shapes that the hosted service's clients read, and says so when it cannot."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import httpx
import orjson
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from headscale.v1 import node_pb2

from gateway.admin.rest.v2 import openapi
from gateway.admin.rest.v2.hujson import standardize
from gateway.admin.rest.v2.policy import refusal_text
from gateway.admin.rest.v2.router import OPERATIONS
from tests.flow.rest_v2.conftest import POLICY, World

DEFAULT = {
    "addresses", "id", "nodeId", "user", "name", "hostname", "clientVersion", "updateAvailable", "os", "created",
    "connectedToControl", "keyExpiryDisabled", "expires", "authorized", "isExternal", "machineKey", "nodeKey",
    "blocksIncomingConnections", "tailnetLockKey", "tailnetLockError", "isEphemeral",
}  # fmt: skip
MORE = {"enabledRoutes", "advertisedRoutes", "clientConnectivity", "sshEnabled"}
USER = {
    "id", "displayName", "loginName", "profilePicUrl", "tailnetId", "created", "type", "role", "status", "deviceCount",
    "lastSeen", "currentlyConnected",
}  # fmt: skip


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    """An error in the one shape that the official clients read, whatever went wrong."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) <= {"message", "data"} and body["message"]
    for word in words:
        assert word in body["message"]


async def devices(world: World, **query: str) -> list[Any]:
    answer = await world.api.get("/tailnet/-/devices", params=query)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"devices"}
    found: list[Any] = answer.json()["devices"]
    return found


async def test_devices_have_every_default_field_and_all_on_request(world: World) -> None:
    laptop, server = await devices(world)
    assert set(laptop) - {"lastSeen", "tags"} == DEFAULT
    assert (laptop["name"], laptop["hostname"], laptop["user"]) == ("laptop.tail.example.net", "laptop", "alice")
    assert (laptop["id"], laptop["connectedToControl"], "lastSeen" in laptop) == (str(world.laptop.id), True, False)
    assert laptop["nodeKey"] == str(world.laptop.node_key)
    assert laptop["nodeId"] == world.laptop.netmap.node["StableID"]
    assert server["expires"] == "0001-01-01T00:00:00Z" and server["keyExpiryDisabled"] is True
    whole = (await devices(world, fields="all"))[0]
    assert set(whole) - {"lastSeen", "tags", "distro"} == DEFAULT | MORE
    assert set(whole["clientConnectivity"]["clientSupports"]) == {"hairPinning", "ipv6", "pcp", "pmp", "udp", "upnp"}
    datetime.fromisoformat(laptop["created"])


async def test_filters_are_exact_and_an_unknown_field_is_refused(world: World) -> None:
    assert [one["hostname"] for one in await devices(world, hostname="server")] == ["server"]
    assert [one["hostname"] for one in await devices(world, name="laptop.tail.example.net")] == ["laptop"]
    assert await devices(world, hostname="Server") == await devices(world, name="laptop") == []
    assert len(await devices(world, isEphemeral="false", connectedToControl="true")) == 2
    address = (await devices(world, hostname="server"))[0]["addresses"][0]
    assert [one["hostname"] for one in await devices(world, addresses=address)] == ["server"]
    refused(await world.api.get("/tailnet/-/devices?shoe=43"), 400, "shoe")
    refused(await world.api.get("/tailnet/-/devices?fields=some"), 400, "fields")


async def test_a_device_is_found_by_either_id_and_changed(world: World) -> None:
    laptop, server = await devices(world)
    for name in (server["id"], server["nodeId"]):
        assert (await world.api.get(f"/device/{name}")).json() == server
    path = f"/device/{server['nodeId']}"
    for word, body in (
        ("authorized", {"authorized": True}),
        ("name", {"name": "db.tail.example.net"}),
        ("tags", {"tags": ["tag:db", "tag:web"]}),
        ("expire", None),
    ):
        answer = await world.api.post(f"{path}/{word}", json=body)
        assert (answer.status_code, answer.json()) == (200, {}), word
    changed = (await world.api.get(path)).json()
    assert (changed["name"], changed["tags"]) == ("db.tail.example.net", ["tag:db", "tag:web"])
    assert (changed["user"], changed["keyExpiryDisabled"]) == ("tagged-devices", False)
    assert (await world.api.post(f"{path}/key", json={"keyExpiryDisabled": True})).status_code == 200
    assert (await world.api.get(path)).json()["keyExpiryDisabled"] is True
    assert (await world.api.delete(f"/device/{laptop['id']}")).status_code == 200
    refused(await world.api.get(f"/device/{laptop['nodeId']}"), 404, "not found")
    refused(await world.api.delete(f"/device/{laptop['id']}"), 404, "not found")


async def test_a_name_an_expiry_and_an_address_are_changed_and_restored(world: World) -> None:
    path = f"/device/{world.laptop.id}"

    async def change(word: str, **body: Any) -> Any:
        answer = await world.api.post(f"{path}/{word}", json=body)
        assert (answer.status_code, answer.json()) == (200, {}), answer.text
        return (await world.api.get(path)).json()

    assert (await change("name", name="renamed"))["name"] == "renamed.tail.example.net"
    assert (await change("name", name=""))["name"] == "laptop.tail.example.net"
    await world.tailnet.admin.ExpireNode(
        node_pb2.ExpireNodeRequest(node_id=world.laptop.id, expiry=Timestamp(seconds=4_000_000_000))
    )
    assert (await change("key", keyExpiryDisabled=True))["expires"] == "0001-01-01T00:00:00Z"
    assert (await change("key", keyExpiryDisabled=True))["keyExpiryDisabled"] is True
    assert (await change("key", keyExpiryDisabled=False))["expires"] == "2096-10-02T07:06:40Z"
    assert (await change("key", keyExpiryDisabled=False))["keyExpiryDisabled"] is False
    moved = await change("ip", ipv4="100.64.7.9")
    assert moved["addresses"][0] == "100.64.7.9"
    assert await change("ip", ipv4="100.64.7.9") == moved


async def test_the_last_tag_stays_until_a_user_signs_in(world: World) -> None:
    path = f"/device/{world.server.id}"
    assert (await world.api.post(f"{path}/tags", json={"tags": ["tag:db"]})).status_code == 200
    for empty in ([], None):
        assert (await world.api.post(f"{path}/tags", json={"tags": empty})).json() == {}
        assert (await world.api.get(path)).json()["tags"] == ["tag:db"]


async def test_the_methods_of_a_path_are_named_in_a_header(world: World) -> None:
    answer = await world.api.put("/tailnet/-/acl", content=b"{}")
    refused(answer, 405, "GET, POST")
    assert answer.headers["allow"] == "GET, POST"


async def test_the_etag_is_that_of_the_formatted_policy_and_an_empty_one_resets_it(world: World) -> None:
    path = "/tailnet/-/acl"
    loose = '{"acls":[{"action":"accept","src":["*"],"dst":["*:*"]}],}'
    formatted = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}\n'
    answer = await world.api.post(path, content=loose)
    assert (answer.text, answer.headers["etag"]) == (loose, f'"{hashlib.sha256(formatted.encode()).hexdigest()}"')
    reset = await world.api.post(path, content=b"")
    assert (reset.text, reset.headers["etag"]) == ("{}", '"ts-default"')
    assert (await world.api.get(path)).headers["etag"] == '"ts-default"'
    answer = await world.api.post(path, content=POLICY, headers={"if-match": '"ts-default"'})
    assert (answer.status_code, answer.text) == (200, POLICY)


async def test_routes_are_read_back_as_they_were_set(world: World) -> None:
    path = f"/device/{world.server.id}/routes"
    assert (await world.api.get(path)).json() == {"advertisedRoutes": [], "enabledRoutes": []}
    answer = await world.api.post(path, json={"routes": ["10.0.0.0/8", "192.168.1.0/24"]})
    assert answer.json() == {"advertisedRoutes": [], "enabledRoutes": ["10.0.0.0/8", "192.168.1.0/24"]}
    assert (await world.api.get(path)).json() == answer.json()
    assert (await world.api.post(path, json={"routes": None})).json()["enabledRoutes"] == []
    attributes = (await world.api.get(f"/device/{world.server.id}/attributes")).json()
    assert attributes["expiries"] == {} and attributes["attributes"]["node:os"]


WRONG: tuple[tuple[str, str, Any, int, str], ...] = (
    ("POST", "/device/1/authorized", {"authorized": False}, 400, "authorized"),
    ("POST", "/device/1/authorized", {}, 400, "authorized"),
    ("POST", "/device/1/name", {"name": ".tail.example.net"}, 400, "name"),
    ("POST", "/device/1/name", {"name": 7}, 400, "name"),
    ("POST", "/device/1/name", {"name": "not a label"}, 400, ""),
    ("POST", "/device/1/name", {"name": "a\0b"}, 400, "control characters"),
    ("POST", "/device/1/tags", {"tags": ["tag:nobody"]}, 400, "tag:nobody"),
    ("POST", "/device/1/tags", {"tags": "tag:web"}, 400, "tags"),
    ("POST", "/device/1/tags", {}, 400, "tags: missing"),
    ("POST", "/device/1/routes", {}, 400, "routes: missing"),
    ("POST", "/device/1/key", {"keyExpiryDisabled": False}, 400, "no expiry"),
    ("POST", "/device/1/key", {"keyExpiryDisabled": "no"}, 400, "keyExpiryDisabled"),
    ("POST", "/device/1/ip", {"ipv4": "10.0.0.1"}, 400, "ipv4"),
    ("POST", "/device/1/ip", {"ipv4": "100.100.100.100"}, 400, "ipv4"),
    ("POST", "/device/1/ip", {"ipv4": "100.64.0.02"}, 400, "ipv4"),
    ("POST", "/device/1/ip", {"ipv4": "100.64.0.2"}, 400, "another node"),
    ("POST", "/device/1/ip", {}, 400, "ipv4"),
    ("POST", "/device/1/routes", {"routes": ["everything"]}, 400, ""),
    ("GET", "/device/99", None, 404, "not found"),
    ("GET", "/device/nSomething", None, 404, "not found"),
    ("POST", "/device/99/expire", None, 404, "not found"),
    ("POST", "/device/99/ip", {"ipv4": "100.64.0.9"}, 404, "not found"),
    ("PUT", "/device/1", {}, 405, "answers DELETE, GET"),
    ("PUT", "/tailnet/-/dns/nameservers", {"dns": []}, 405, "answers GET, POST"),
    ("PUT", "/oauth/token", {}, 405, "answers POST"),
    ("GET", "/oauth/token", None, 405, "answers POST"),
    ("GET", "/tailnet/other.example/devices", None, 404, "tailnet"),
    ("GET", "/tailnet/-/webhooks", None, 404, "has no"),
    ("GET", "/nothing", None, 404, "has no"),
    ("GET", "/users/99", None, 404, "user"),
    ("POST", "/users/1/role", {"role": "king"}, 400, ""),
    ("POST", "/users/1/delete", None, 400, ""),
    ("GET", "/tailnet/-/users?type=ghost", None, 400, "type"),
)


@pytest.mark.parametrize(("verb", "path", "body", "status", "word"), WRONG)
async def test_what_cannot_be_done_is_refused_in_the_one_shape(
    world: World, verb: str, path: str, body: Any, status: int, word: str
) -> None:
    refused(await world.api.request(verb, path, content=None if body is None else orjson.dumps(body)), status, word)


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff", b"[" * 100_000, b" " * ((4 << 20) + 1)])
async def test_a_body_that_is_no_object_is_refused(world: World, body: bytes) -> None:
    status = 413 if len(body) > 4 << 20 else 400
    refused(await world.api.post("/device/1/name", content=body), status, "body")


async def test_credentials_are_taken_in_both_forms_and_strangers_get_401(world: World) -> None:
    for headers in ({"authorization": f"Bearer {world.key}"}, {}):
        auth = None if headers else (world.key, "")
        async with httpx.AsyncClient(base_url=world.tailnet.url, headers=headers, auth=auth) as client:
            assert (await client.get("/api/v2/tailnet/-/devices")).status_code == 200
    async with httpx.AsyncClient(base_url=world.tailnet.url) as client:
        for headers in (
            {},
            {"authorization": "Basic eDp5"},
            {"authorization": "Basic !"},
            {"authorization": "Bearer x"},
        ):
            for path in ("/tailnet/-/devices", "/nothing", ""):
                refused(await client.get(f"/api/v2{path}", headers=headers), 401)


async def test_users_are_shown_and_changed(world: World) -> None:
    answer = (await world.api.get("/tailnet/-/users")).json()
    assert set(answer) == {"users"}
    alice, bob = answer["users"]
    assert set(alice) == USER
    assert (alice["loginName"], alice["deviceCount"], alice["currentlyConnected"]) == ("alice", 1, True)
    assert (await world.api.get(f"/users/{bob['id']}")).json()["loginName"] == "bob"
    assert (await world.api.post(f"/users/{alice['id']}/role", json={"role": "owner"})).status_code == 200
    assert [user["id"] for user in (await world.api.get("/tailnet/-/users?role=owner")).json()["users"]] == [
        alice["id"]
    ]
    assert (await world.api.post(f"/users/{bob['id']}/suspend")).status_code == 200
    assert (await world.api.get(f"/users/{bob['id']}")).json()["status"] == "suspended"
    assert (await world.api.post(f"/users/{bob['id']}/restore")).status_code == 200
    assert (await world.api.post(f"/users/{bob['id']}/approve")).status_code == 200
    assert (await world.api.get(f"/users/{bob['id']}")).json()["status"] == "active"
    assert (await world.api.delete(f"/device/{world.server.id}")).status_code == 200
    assert (await world.api.post(f"/users/{bob['id']}/delete")).status_code == 200
    refused(await world.api.get(f"/users/{bob['id']}"), 404)
    assert (await world.api.get("/tailnet/-/users?type=shared")).json() == {"users": []}


async def test_the_policy_is_kept_byte_for_byte_under_its_etag(world: World) -> None:
    path = "/tailnet/-/acl"
    answer = await world.api.get(path)
    assert (answer.text, answer.headers["content-type"]) == (POLICY, "application/hujson")
    tag = answer.headers["etag"]
    assert tag == '"' + hashlib.sha256(POLICY.encode()).hexdigest() + '"'
    as_json = await world.api.get(path, headers={"accept": "application/json"})
    assert as_json.json()["tagOwners"] == {"tag:web": [], "tag:db": []} and as_json.headers["etag"] == tag
    details = (await world.api.get(path, params={"details": "1"})).json()
    assert set(details) == {"acl", "warnings", "errors"}
    changed = POLICY.replace("who", "what")
    refused(await world.api.post(path, content=changed, headers={"if-match": '"0"'}), 412, "precondition failed")
    refused(
        await world.api.post(path, content=changed, headers={"if-match": '"ts-default"'}), 412, "precondition failed"
    )
    put = await world.api.post(path, content=changed, headers={"if-match": tag.strip('"')})
    assert (put.status_code, put.text) == (200, changed) and put.headers["etag"] != tag
    assert (await world.api.get(path)).text == changed


async def test_a_policy_is_validated_without_being_stored(world: World) -> None:
    path = "/tailnet/-/acl/validate"
    assert (await world.api.post(path, content=POLICY)).json() == {}
    assert (await world.api.post(path, json=[{"src": "alice@", "accept": ["bob@:22"]}])).json() == {}
    failed = await world.api.post(path, json=[{"src": "alice@", "deny": ["bob@:22"]}])
    assert failed.status_code == 200 and "test(s) failed" in failed.json()["message"]
    wrong = await world.api.post(path, content='{\n"acls": [{"action": "deny"}]}')
    assert wrong.status_code == 200 and wrong.json()["message"]
    refused(await world.api.post("/tailnet/-/acl", content='{"acls": ['), 400, "line 1, column ")
    assert (await world.api.get("/tailnet/-/acl")).text == POLICY


async def test_rules_for_a_user_or_a_destination_are_previewed(world: World) -> None:
    path = "/tailnet/-/acl/preview"
    candidate = '{\n\n"acls": [\n{"action": "accept", "src": ["alice@"], "dst": ["100.64.0.2:22"]}]}'
    rule = {"users": ["alice@"], "ports": ["100.64.0.2:22"], "lineNumber": 4}
    for kind, about, matches in (
        ("user", "alice", [rule]),
        ("user", "bob", []),
        ("ipport", "100.64.0.2:22", [rule]),
        ("ipport", "100.64.0.2:80", []),
    ):
        answer = await world.api.post(path, params={"type": kind, "previewFor": about}, content=candidate)
        assert answer.json() == {"matches": matches, "type": kind, "previewFor": about}
    in_force = await world.api.post(path, params={"type": "user", "previewFor": "bob"})
    assert in_force.json()["matches"] == [{"users": ["*"], "ports": ["*:*"], "lineNumber": 4}]
    for query, word in (("", "type"), ("type=user", "previewFor"), ("type=user&previewFor=eve", "eve")):
        refused(await world.api.post(f"{path}?{query}", content=candidate), 400, word)
    name = {"type": "ipport", "previewFor": "laptop"}
    refused(await world.api.post(path, params=name, content=candidate), 400, "address with a port")
    refused(await world.api.post(path, params=name, content='{"acls": ['), 400, "line 1, column ")


async def test_dns_is_read_as_it_is_configured(world: World) -> None:
    for name, shape in (
        ("nameservers", {"dns": []}),
        ("preferences", {"magicDNS": True}),
        ("searchpaths", {"searchPaths": []}),
        ("split-dns", {}),
    ):
        assert (await world.api.get(f"/tailnet/-/dns/{name}")).json() == shape
    whole = (await world.api.get("/tailnet/-/dns/configuration")).json()
    assert whole["preferences"] == {"overrideLocalDNS": False, "magicDNS": True}


async def test_the_document_lists_every_operation_once(world: World) -> None:
    async with httpx.AsyncClient(base_url=world.tailnet.url) as client:
        document = (await client.get("/api/v2/openapi.json")).json()
    assert document == orjson.loads(orjson.dumps(openapi.build(OPERATIONS)))
    listed = [operation for verbs in document["paths"].values() for operation in verbs.values()]
    assert len(listed) == len(OPERATIONS) + 1 == len({operation["operationId"] for operation in listed})
    assert document["paths"]["/oauth/token"]["post"]["responses"].keys() >= {"200", "400", "401"}
    for operation in listed:
        assert all("example" in content for content in operation["responses"]["200"]["content"].values())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2,], /* , */ "b": "x // y, ]", }', {"a": [1, 2], "b": "x // y, ]"}),
        ('// c\n{"a": "\\"}",\n}\n', {"a": '"}'}),
        ("[]", []),
        ('{"a": {"b": [true, null, -1.5e3,],},}', {"a": {"b": [True, None, -1500.0]}}),
    ],
)
def test_hujson_becomes_json(text: str, value: Any) -> None:
    assert orjson.loads(standardize(text)) == value


def test_a_place_comes_first_as_gitops_actions_want_it() -> None:
    assert refusal_text("reading policy:\nexpected a value (line 3, column 7)") == "line 3, column 7: expected a value"
    assert refusal_text("test(s) failed:\nmore") == "test(s) failed:\nmore"
