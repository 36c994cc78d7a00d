"""Two administrators over REST cannot overwrite each other's policy unseen: ETag and If-Match."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from headscale.v1 import apikey_pb2

from gateway.admin.rest.v1 import openapi
from tests.fakes.tailnet import tailnet_in

FIRST = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'
SECOND = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:22"]}]}'
PATH = "/api/v1/policy"


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with tailnet_in(tmp_path) as tailnet:
        key = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=tailnet.url, headers=headers, timeout=20) as client:
            yield client


async def put(web: httpx.AsyncClient, text: str, *conditions: str) -> httpx.Response:
    return await web.put(PATH, json={"policy": text}, headers=[("if-match", one) for one in conditions])


async def in_force(web: httpx.AsyncClient) -> str:
    text: str = (await web.get(PATH)).json()["policy"]
    return text


async def test_the_etag_is_that_of_the_version_in_force(web: httpx.AsyncClient) -> None:
    first = await put(web, FIRST)
    assert first.status_code == 200
    seen = (await web.get(PATH)).headers["etag"]
    assert seen == first.headers["etag"]
    assert seen[0] == seen[-1] == '"'
    assert len(seen) > 2
    assert (await web.head(PATH)).headers["etag"] == seen
    assert (await put(web, SECOND)).headers["etag"] != seen
    assert "etag" not in (await web.post(f"{PATH}/check", json={"policy": FIRST})).headers
    assert "etag" not in (await web.get("/api/v1/user")).headers


async def test_a_change_made_from_another_policy_is_refused(web: httpx.AsyncClient) -> None:
    assert "etag" not in (await web.get(PATH)).headers
    assert (await put(web, FIRST, "*")).status_code == 412
    assert (await put(web, FIRST, '"0", "1"')).status_code == 412
    seen = (await put(web, FIRST, '"ts-default"')).headers["etag"]
    for stale in ('"ts-default"', '"0"', '"0", "1"'):
        refused = await put(web, SECOND, stale)
        assert refused.status_code == 412
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["status"] == 412
        assert "etag" not in refused.headers
    assert await in_force(web) == FIRST
    assert (await put(web, SECOND, seen)).status_code == 200
    assert await in_force(web) == SECOND
    assert (await put(web, FIRST, seen)).status_code == 412
    now = (await web.get(PATH)).headers["etag"]
    assert (await put(web, FIRST, f'"0", {now}')).status_code == 200
    assert (await put(web, SECOND, '"0"', seen)).status_code == 200
    assert (await put(web, FIRST, "*")).status_code == 200


async def test_a_condition_that_says_nothing_is_no_licence(web: httpx.AsyncClient) -> None:
    await put(web, FIRST)
    for empty in ("", '""', ",", "bare", '"a",', '*, "a"'):
        assert (await put(web, SECOND, empty)).status_code == 400
    assert await in_force(web) == FIRST


def test_the_document_tells() -> None:
    paths = openapi.build()["paths"]["/policy"]
    assert "ETag" in paths["get"]["responses"]["200"]["headers"]
    assert "412" not in paths["get"]["responses"]
    assert "412" in paths["put"]["responses"]
    assert [one["name"] for one in paths["put"]["parameters"]] == ["If-Match"]
