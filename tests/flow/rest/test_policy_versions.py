"""Over REST too: versions, differences, the way back, explanations, previews, and the roles of users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from headscale.v1 import apikey_pb2

from gateway.admin.rest.v1 import openapi
from gateway.admin.rest.v1.operations import EVERY
from services.shared.config.model import GatewayConfig
from tests.fakes.tailnet import Tailnet, tailnet_in

FIRST = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'
SECOND = '{\n"acls": [{"action": "accept", "src": ["*"], "dst": ["*:22"]}]}'
BAD = '{"acls": [{"action": "deny"}]}'


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        yield running


@pytest.fixture
async def web(tailnet: Tailnet) -> AsyncIterator[httpx.AsyncClient]:
    key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=tailnet.url, headers=headers, timeout=20) as client:
        yield client


async def ask(web: httpx.AsyncClient, verb: str, path: str, status: int = 200, **more: Any) -> Any:
    answer = await web.request(verb, f"/api/v1{path}", **more)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_versions_are_listed_shown_compared_and_put_in_force_again(web: httpx.AsyncClient) -> None:
    for text in (FIRST, SECOND):
        await ask(web, "PUT", "/policy", json={"policy": text})
    listed = (await ask(web, "GET", "/policy/version"))["versions"]
    assert [(one["number"], one["text"]) for one in listed] == [("2", ""), ("1", "")]
    assert listed[0]["author"].startswith("api key ") and listed[0]["createdAt"]
    assert [one["number"] for one in (await ask(web, "GET", "/policy/version?limit=1&before=2"))["versions"]] == ["1"]
    assert (await ask(web, "GET", "/policy/version/1"))["version"]["text"] == FIRST
    told = await ask(web, "GET", "/policy/version/1/diff")
    assert (told["first"]["number"], told["second"]["number"]) == ("1", "2")
    added = ["+{", '+"acls": [{"action": "accept", "src": ["*"], "dst": ["*:22"]}]}']
    assert told["lines"][3:] == ["-" + FIRST, *added]
    assert (await ask(web, "GET", "/policy/version/1/diff?other=1"))["lines"] == []
    stale = {"If-Match": f'"{listed[1]["etag"]}"'}
    await ask(web, "POST", "/policy/version/1/rollback", 412, json={}, headers=stale)
    now = {"If-Match": f'"{listed[0]["etag"]}"'}
    back = await web.post("/api/v1/policy/version/1/rollback", json={"reason": "too narrow"}, headers=now)
    version = back.json()["version"]
    assert (version["number"], version["reason"], version["text"]) == ("3", "too narrow", FIRST)
    assert back.headers["etag"] == f'"{version["etag"]}"'
    assert (await ask(web, "GET", "/policy"))["policy"] == FIRST
    for path in ("/policy/version/9", "/policy/version/9/diff"):
        assert "no policy version 9" in (await ask(web, "GET", path, 404))["detail"]
    await ask(web, "POST", "/policy/version/9/rollback", 404, json={})
    await ask(web, "GET", "/policy/version?limit=4294967296", 400)


async def test_explanations_and_previews_are_about_the_live_tailnet(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    key = await tailnet.auth_key(await tailnet.user("alice"))
    for name in ("web", "phone"):
        await tailnet.device(name).join(key)
    await ask(web, "PUT", "/policy", json={"policy": SECOND})
    told = await ask(web, "POST", "/policy/explain", json={"source": "phone", "destination": "web:443"})
    assert told["allowed"] is False and told["answers"][0]["visible"] is True
    assert told["answers"][0]["near"] == ["acls[0]: * to *, but only port 22"]
    told = await ask(web, "POST", "/policy/explain", json={"source": "phone", "destination": "web:443", "text": FIRST})
    assert told["allowed"] is True
    seen = await ask(web, "POST", "/policy/preview", json={"text": '{"acls": []}'})
    assert {one["node"]: one["peersRemoved"] for one in seen["differences"]} == {"phone": ["web"], "web": ["phone"]}
    assert seen["unchanged"] == 0
    for path, body in (("explain", {"source": "nobody", "destination": "web"}), ("preview", {"text": BAD})):
        await ask(web, "POST", f"/policy/{path}", 400, json=body)


async def test_roles_are_given_and_listed(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    alice = await tailnet.user("alice")
    await tailnet.user("bob")
    changed = await ask(web, "POST", f"/user/{alice}/role", json={"role": "owner"})
    assert (changed["user"]["name"], changed["user"]["role"]) == ("alice", "owner")
    users = (await ask(web, "GET", "/role"))["users"]
    assert [(user["name"], user["role"]) for user in users] == [("alice", "owner"), ("bob", "member")]
    assert [user["name"] for user in (await ask(web, "GET", "/role?role=member"))["users"]] == ["bob"]
    refused = await ask(web, "POST", "/user/alice/role", 400, json={"role": "admin"})
    assert "only owner" in refused["detail"]
    await ask(web, "POST", "/user/bob/role", 400, json={"role": "king"})
    await ask(web, "POST", "/user/nobody/role", 404, json={"role": "admin"})


async def test_nothing_is_answered_without_a_key_and_to_have_none_is_no_guess(tmp_path: Path) -> None:
    assert len(EVERY) > GatewayConfig().admin_wrong_keys
    async with tailnet_in(tmp_path) as tailnet, httpx.AsyncClient(base_url=tailnet.url, timeout=20) as nobody:
        for operation in EVERY:
            answer = await nobody.request(
                operation.verb, f"/api/v1{operation.path}", json={} if operation.body else None
            )
            assert answer.status_code == 401, operation.known_as


def test_the_document_names_every_operation_once() -> None:
    document = openapi.build()
    ids = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(ids) == len(set(ids)) == len(EVERY)
    assert {"412"} <= document["paths"]["/policy/version/{number}/rollback"]["post"]["responses"].keys()
    assert "role" in document["components"]["schemas"]["TailnetUser"]["properties"]
