"""Keys, OAuth clients and their tokens over /api/v2, and what a scope permits on every wire."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import grpc.aio
import httpx
import pytest
from headscale.v1 import node_pb2, policy_pb2
from smartscale.admin.v1 import key_pb2, key_pb2_grpc
from smartscale.types.v1 import key_pb2 as types

from tests.flow.rest_v2.conftest import World
from tests.flow.rest_v2.test_v2 import refused

KEYS = "/tailnet/-/keys"
OWNED = """{"tagOwners": {"tag:operator": [], "tag:k8s": ["tag:operator"], "tag:other": []},
"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}"""


async def create(world: World, **body: Any) -> Any:
    answer = await world.api.post(KEYS, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def client(world: World, *scopes: str, tags: tuple[str, ...] = ()) -> Any:
    return await create(world, keyType="client", scopes=list(scopes), tags=list(tags))


async def token_of(world: World, secret: str, **form: str) -> httpx.Response:
    async with httpx.AsyncClient() as plain:
        return await plain.post(
            f"{world.tailnet.url}/api/v2/oauth/token", data=form, auth=("some-client-id", quote(secret))
        )


async def as_token(world: World, *scopes: str, tags: tuple[str, ...] = (), **form: str) -> httpx.AsyncClient:
    """Return a connection with the token of a new client."""
    made = await client(world, *scopes, tags=tags)
    answer = (await token_of(world, made["key"], **form)).json()
    headers = {"authorization": f"Bearer {answer['access_token']}"}
    return httpx.AsyncClient(base_url=world.tailnet.url + "/api/v2", headers=headers, timeout=20)


async def test_an_auth_key_is_echoed_and_admits_a_device(world: World) -> None:
    create_ = {"reusable": True, "ephemeral": False, "preauthorized": True, "tags": ["tag:web"]}
    made = await create(
        world, capabilities={"devices": {"create": create_}}, expirySeconds=3600, description="CI", shoe=1
    )
    assert made["keyType"] == "auth" and made["capabilities"] == {"devices": {"create": create_}}
    assert (made["expirySeconds"], made["description"], made["invalid"]) == (3600, "CI", False)
    assert made["key"].startswith("hskey-auth-" + made["id"])
    shown = (await world.api.get(f"{KEYS}/{made['id']}")).json()
    assert shown == {name: value for name, value in made.items() if name != "key"}
    assert (await world.api.get(KEYS)).json()["keys"][-1]["id"] != ""
    assert made["id"] in [key["id"] for key in (await world.api.get(KEYS)).json()["keys"]]
    device = world.tailnet.device("fresh")
    await device.join(made["key"])
    assert (await world.api.get(f"/device/{device.id}")).json()["tags"] == ["tag:web"]
    assert (await world.api.delete(f"{KEYS}/{made['id']}")).json() == {}
    refused(await world.api.get(f"{KEYS}/{made['id']}"), 404, "not found")
    refused(await world.api.delete(f"{KEYS}/{made['id']}"), 404, "not found")


async def test_a_client_is_changed_as_a_whole_and_its_secret_stays(world: World) -> None:
    made = await client(world, "dns:read")
    path = f"{KEYS}/{made['id']}"
    assert made["key"].startswith(f"tskey-client-{made['id']}-") and made["keyType"] == "client"
    body = {"keyType": "client", "description": "new", "scopes": ["devices:core"], "tags": ["tag:web"]}
    changed = (await world.api.put(path, json=body)).json()
    assert (changed["scopes"], changed["tags"], changed["description"]) == (["devices:core"], ["tag:web"], "new")
    assert "key" not in changed and changed["updated"]
    assert (await token_of(world, made["key"])).json()["scope"] == "devices:core"
    refused(await world.api.put(f"{KEYS}/nothing", json=body), 404)
    auth = await create(world, capabilities={"devices": {"create": {"tags": ["tag:web"]}}})
    refused(await world.api.put(f"{KEYS}/{auth['id']}", json=body), 400, "OAuth clients")


WRONG = (
    ({"keyType": "api"}, "keyType"),
    ({"keyType": 1}, "keyType"),
    ({}, "tag"),
    ({"capabilities": []}, "capabilities"),
    ({"capabilities": {"devices": {"create": {"reusable": "yes"}}}}, "reusable"),
    ({"capabilities": {"devices": {"create": {"tags": ["web"]}}}}, "tag:"),
    ({"capabilities": {"devices": {"create": {"tags": ["tag:web"]}}}, "expirySeconds": -1}, "expirySeconds"),
    ({"capabilities": {"devices": {"create": {"tags": ["tag:web"]}}}, "expirySeconds": 1 << 80}, "expirySeconds"),
    ({"capabilities": {"devices": {"create": {"tags": ["tag:web"]}}}, "expirySeconds": ""}, "expirySeconds"),
    ({"capabilities": {"devices": {"create": {"tags": ["tag:web"]}}}, "expirySeconds": False}, "expirySeconds"),
    ({"keyType": "client", "scopes": ["devices:core:read"], "expirySeconds": "soon"}, "expirySeconds"),
    ({"keyType": "client", "scopes": []}, "scopes"),
    ({"keyType": "client", "scopes": ["shoes"]}, "shoes"),
    ({"keyType": "client", "scopes": ["auth_keys"]}, "tag"),
    ({"keyType": "client", "scopes": ["dns"], "description": "a\nb"}, "description"),
    ({"keyType": "client", "scopes": ["dns"], "description": "a" * 201}, "description"),
)


@pytest.mark.parametrize(("body", "word"), WRONG)
async def test_a_key_that_cannot_be_is_refused(world: World, body: Any, word: str) -> None:
    refused(await world.api.post(KEYS, json=body), 400, word)


async def test_tokens_are_issued_in_both_forms_and_end_with_their_client(world: World) -> None:
    made = await client(world, "devices:core", "users:read", tags=("tag:web",))
    basic = await token_of(world, made["key"], grant_type="client_credentials")
    assert basic.headers["cache-control"] == "no-store"
    body = basic.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "devices:core users:read")
    async with httpx.AsyncClient(base_url=world.tailnet.url) as plain:
        form = {"client_id": "any", "client_secret": made["key"], "scope": "devices:core:read"}
        narrowed = (await plain.post(world.tailnet.url + "//api/v2/oauth/token", data=form)).json()
        assert narrowed["scope"] == "devices:core:read"
        for auth in (httpx.BasicAuth(narrowed["access_token"], ""), None):
            headers = {} if auth else {"authorization": f"Bearer {narrowed['access_token']}"}
            listed = await plain.get("/api/v2/tailnet/-/devices", auth=auth, headers=headers)
            assert listed.status_code == 200
        refused(
            await plain.get("/api/v2/tailnet/-/users", headers={"authorization": f"Bearer {narrowed['access_token']}"}),
            403,
            "users:read",
        )
        assert (await world.api.delete(f"{KEYS}/{made['id']}")).status_code == 200
        for token in (narrowed, body):
            headers = {"authorization": f"Bearer {token['access_token']}"}
            refused(await plain.get("/api/v2/tailnet/-/devices", headers=headers), 401)
    assert (await token_of(world, made["key"])).json()["error"] == "invalid_client"


async def test_a_wrong_request_for_a_token_is_refused_as_rfc_6749_says(world: World) -> None:
    secret = (await client(world, "dns:read"))["key"]
    for form, given, status, error in (
        ({"grant_type": "password"}, secret, 400, "unsupported_grant_type"),
        ({"scope": "dns"}, secret, 400, "invalid_scope"),
        ({"scope": "nope"}, secret, 400, "invalid_scope"),
        ({"tags": "tag:web"}, secret, 400, "invalid_scope"),
        ({}, secret[:-1] + ("0" if secret[-1] != "0" else "1"), 401, "invalid_client"),
        ({}, "tskey-client-x", 401, "invalid_client"),
    ):
        answer = await token_of(world, given, **form)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
        assert answer.json()["message"] == answer.json()["error_description"]
        assert secret not in answer.text
    async with httpx.AsyncClient(base_url=world.tailnet.url) as plain:
        for content in (b"", b"\xff=1", b"a=1&" * 100):
            assert (await plain.post("/api/v2/oauth/token", content=content)).status_code in (400, 401)
        bad = base64.b64encode(b"\xff\xfe").decode()
        answer = await plain.post("/api/v2/oauth/token", headers={"authorization": f"Basic {bad}"})
        assert answer.json()["error"] == "invalid_client"


async def test_a_token_gives_its_own_tags_and_those_that_they_own(world: World) -> None:
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=OWNED))
    async with await as_token(world, "auth_keys", "devices:core", tags=("tag:operator",)) as api:
        for tags, status in ((["tag:operator"], 200), (["tag:k8s"], 200), (["tag:other"], 403), ([], 400)):
            body = {"capabilities": {"devices": {"create": {"tags": tags}}}}
            answer = await api.post(KEYS, json=body)
            assert answer.status_code == status, answer.text
            path = f"/device/{world.server.id}/tags"
            assert (await api.post(path, json={"tags": tags})).status_code == (200 if not tags else status)
        owner = {"userId": "1", "capabilities": {"devices": {"create": {"tags": ["tag:operator"]}}}}
        refused(await api.post(KEYS, json=owner), 403, "no user")
        listed = (await api.get(KEYS)).json()["keys"]
        assert {key["keyType"] for key in listed} == {"auth"}


async def test_nobody_grants_what_they_lack(world: World) -> None:
    async with await as_token(world, "oauth_keys", "dns:read", "devices:core", tags=("tag:web",)) as api:
        made = await api.post(KEYS, json={"keyType": "client", "scopes": ["dns:read"]})
        assert made.status_code == 200
        for scopes, tags, word in (
            (["all"], [], "all"),
            (["dns"], [], "dns"),
            (["devices:core"], ["tag:db"], "tag:db"),
        ):
            body = {"keyType": "client", "scopes": scopes, "tags": tags}
            refused(await api.post(KEYS, json=body), 403, word)
            refused(await api.put(f"{KEYS}/{made.json()['id']}", json=body), 403, word)
        refused(await api.post(KEYS, json={"capabilities": {}}), 403, "auth_keys")


async def test_a_token_keeps_only_what_its_client_still_has(world: World) -> None:
    made = await client(world, "dns:read", "users:read")
    token = (await token_of(world, made["key"])).json()["access_token"]
    await world.api.put(f"{KEYS}/{made['id']}", json={"keyType": "client", "scopes": ["dns:read"]})
    headers = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=world.tailnet.url + "/api/v2", headers=headers) as api:
        assert (await api.get("/tailnet/-/dns/nameservers")).status_code == 200
        refused(await api.get("/tailnet/-/users"), 403, "users:read")


async def test_a_scope_limits_every_wire(world: World) -> None:
    async with grpc.aio.insecure_channel(f"unix:{world.socket}") as channel:
        stub = key_pb2_grpc.KeyAdminServiceStub(channel)
        key = types.Key(kind=types.KEY_KIND_API, scopes=["devices:core:read"], description="reader")
        made = await stub.CreateKey(key_pb2.CreateKeyRequest(key=key))
    assert made.key.creator.startswith("unix socket")
    token = await as_token(world, "devices:core:read")
    secrets = (made.secret, token.headers["authorization"].removeprefix("Bearer "))
    await token.aclose()
    for secret in secrets:
        headers = {"authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(base_url=world.tailnet.url, headers=headers) as web:
            assert (await web.get("/api/v1/node")).status_code == 200
            denied = await web.delete(f"/api/v1/node/{world.server.id}")
            assert (denied.status_code, "devices:core" in denied.text) == (403, True)
            assert (await web.post("/api/v1/preauthkey", json={"user": "1"})).status_code == 403
            assert (await web.post("/api/v1/apikey", json={})).status_code == 403
            rpc = "/api/rpc/headscale.v1.HeadscaleService/DeleteNode"
            raw = node_pb2.DeleteNodeRequest(node_id=world.server.id).SerializeToString()
            answer = await web.post(rpc, content=raw, headers={"content-type": "application/proto"})
            assert answer.status_code == 403


async def test_a_limited_token_makes_no_key_for_a_user_over_headscales_api(world: World) -> None:
    async with await as_token(world, "auth_keys", tags=("tag:web",)) as api:
        path = world.tailnet.url + "/api/v1/preauthkey"
        assert (await api.post(path, json={"user": "1"})).status_code == 403
        assert (await api.post(path, json={"aclTags": ["tag:db"]})).status_code == 403
        assert (await api.post(path, json={"aclTags": ["tag:web"]})).status_code == 200
