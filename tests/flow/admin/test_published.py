"""What REST publishes: lists, whole or in pages, and its own document."""

from __future__ import annotations

import httpx

from gateway.admin.rest.v1 import openapi
from gateway.admin.rest.v1.operations import EVERY, OPERATIONS
from tests.fakes.tailnet import Tailnet


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
