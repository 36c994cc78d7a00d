"""What REST publishes: lists, whole or in pages, and its own document."""

from __future__ import annotations

from typing import Any

import httpx

from gateway.admin.rest.v1 import openapi, swagger
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
        moved = await client.get("/swagger")
        assert (moved.status_code, moved.headers["location"]) == (307, "/api/v1/docs")
        older = (await client.get("/swagger/v1/openapiv2.json")).json()
    assert document["openapi"] == "3.1.0"
    ids = {operation["operationId"] for verbs in document["paths"].values() for operation in verbs.values()}
    assert ids == {openapi.operation_id(operation.name or operation.rpc) for operation in EVERY}
    assert ids > {openapi.operation_id(operation.rpc) for operation in OPERATIONS}
    assert text.headers["content-type"].startswith("application/yaml") and "openapi: 3.1.0" in text.text
    assert older["swagger"] == "2.0" and older["paths"].keys() == document["paths"].keys()
    assert older["definitions"].keys() == document["components"]["schemas"].keys()
    assert "://" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_older_document_has_nothing_that_its_notation_lacks() -> None:
    def walk(value: Any, place: str) -> None:
        if isinstance(value, dict):
            assert not isinstance(value.get("type"), list), place
            if "$ref" in value:
                assert value["$ref"].partition("/definitions/")[2] in document["definitions"], place
            if not place.endswith("/properties"):
                assert {"anyOf", "examples", "requestBody", "components", "content"}.isdisjoint(value), place
            for name, member in value.items():
                walk(member, f"{place}/{name}")
        elif isinstance(value, list):
            for item in value:
                walk(item, place)

    document = swagger.build()
    walk(document, "")
