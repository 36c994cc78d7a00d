"""Only a valid API key opens the door, over either wire."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from headscale.v1 import apikey_pb2

from tests.fakes.tailnet import Tailnet
from tests.flow.admin.answers import refused


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


def masks(listed: dict[str, str], key: str) -> bool:
    """Whether a key is listed in its masked form, as Headscale lists it."""
    return listed["prefix"] == "-".join((*key.split("-")[:2], key[10:22], "***"))


async def test_a_key_that_ended_is_refused_at_once_and_one_that_is_used_says_when(
    tailnet: Tailnet, web: httpx.AsyncClient, key: str
) -> None:
    past = Timestamp(seconds=1_000_000_000)
    over = (await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest(expiration=past))).api_key
    refused(await web.get("/user", headers={"authorization": f"Bearer {over}"}), 401)
    assert (await web.get("/user")).status_code == 200
    (mine,) = [one for one in (await web.get("/apikey")).json()["apiKeys"] if masks(one, key)]
    assert mine["lastSeen"] and mine["expiration"] > mine["createdAt"]
    assert (await web.post("/apikey/expire", json={"prefix": mine["prefix"]})).status_code == 200
    refused(await web.get("/user"), 401)


async def test_the_zero_time_of_go_clients_is_no_expiration(tailnet: Tailnet, web: httpx.AsyncClient) -> None:
    zero = "0001-01-01T00:00:00Z"
    fresh = (await web.post("/apikey", json={"expiration": zero})).json()["apiKey"]
    assert (await web.get("/user", headers={"authorization": f"Bearer {fresh}"})).status_code == 200
    (listed,) = [one for one in (await web.get("/apikey")).json()["apiKeys"] if masks(one, fresh)]
    days = datetime.fromisoformat(listed["expiration"]) - datetime.fromisoformat(listed["createdAt"])
    assert days == timedelta(days=90)
    user = await tailnet.user("zero")
    made = (await web.post("/preauthkey", json={"user": user, "expiration": zero})).json()["preAuthKey"]
    assert made["expiration"] > made["createdAt"]


async def test_nothing_of_administration_is_reachable_through_a_tunnel(tailnet: Tailnet, key: str) -> None:
    device = await tailnet.device("web").connect()
    for path in ("/api/v1/user", "/api/v1/openapi.json", "/metrics", "/debug/config", "/swagger", "/health"):
        status, _, _ = await device.client.request("GET", path, b"")
        assert status == 404, path
