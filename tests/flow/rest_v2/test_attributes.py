"""Posture attributes that are set over /api/v2: in answers, in the policy's postures, and gone with their expiry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from headscale.v1 import policy_pb2

from tests.flow.rest_v2.conftest import World
from tests.flow.rest_v2.test_v2 import refused

ATTRIBUTES = "/device/{}/attributes"
BATCH = "/tailnet/-/device-attributes"
POSTURE = """{
  "postures": {"posture:safe": ["custom:risk <= 3", "custom:managed == true"]},
  "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"], "srcPosture": ["posture:safe"]}]
}"""


def of(world: World) -> str:
    return ATTRIBUTES.format(world.laptop.netmap.node and world.laptop.netmap.node["StableID"])


async def put(world: World, key: str, **body: Any) -> httpx.Response:
    return await world.api.post(f"{of(world)}/{key}", json=body)


def custom(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return {key: value for key, value in answer.json()["attributes"].items() if key.startswith("custom:")}


async def test_attributes_are_set_read_and_removed(world: World) -> None:
    assert custom(await put(world, "custom:risk", value=3)) == {"custom:risk": 3}
    assert custom(await put(world, "custom:managed", value=True, comment="why")) == {
        "custom:risk": 3,
        "custom:managed": True,
    }
    # As the official Go client sends an attribute without expiry.
    zero = {"value": "x_1.2", "expiry": "0001-01-01T00:00:00Z", "comment": ""}
    answer = await put(world, "custom:team:a", **zero)
    assert answer.json()["expiries"] == {} and custom(answer)["custom:team:a"] == "x_1.2"
    assert (await world.api.get(of(world))).json() == answer.json()
    assert answer.json()["attributes"]["node:os"]
    answer = await put(world, "custom:risk", value=4, expiry="2090-01-01T00:00:00+02:00")
    assert answer.json()["expiries"] == {"custom:risk": "2089-12-31T22:00:00Z"}
    for _ in range(2):
        assert (await world.api.delete(f"{of(world)}/custom:risk")).json() == {}
    assert custom(await world.api.get(of(world))) == {"custom:managed": True, "custom:team:a": "x_1.2"}
    assert custom(await world.api.get(ATTRIBUTES.format(world.server.id))) == {}


async def test_a_posture_reads_them_at_once(world: World) -> None:
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POSTURE))
    await world.server.until(lambda: not world.server.netmap.peers)
    await put(world, "custom:risk", value=2)
    await put(world, "custom:managed", value=True)
    await world.server.until(lambda: bool(world.server.netmap.peers))
    await put(world, "custom:risk", value=9)
    await world.server.until(lambda: not world.server.netmap.peers)


async def test_an_expired_attribute_is_removed_and_the_posture_no_longer_met(world: World) -> None:
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POSTURE))
    await put(world, "custom:risk", value=2)
    soon = datetime.now(UTC) + timedelta(seconds=5)
    await put(world, "custom:managed", value=True, expiry=soon.isoformat())
    await world.server.until(lambda: bool(world.server.netmap.peers))
    await world.server.until(lambda: not world.server.netmap.peers)
    assert custom(await world.api.get(of(world))) == {"custom:risk": 2}


async def test_several_devices_change_together_or_not_at_all(world: World) -> None:
    laptop, server = str(world.laptop.id), str(world.server.id)
    nodes = {laptop: {"custom:a": {"value": 1}, "custom:b": {"value": "x"}}, server: {"custom:a": {"value": 2}}}
    answer = await world.api.patch(BATCH, json={"nodes": nodes, "comment": "weekly"})
    assert (answer.status_code, answer.json()) == (200, None)
    assert custom(await world.api.get(ATTRIBUTES.format(laptop))) == {"custom:a": 1, "custom:b": "x"}
    await world.api.patch(BATCH, json={"nodes": {laptop: {"custom:b": None, "custom:none": None}}})
    assert custom(await world.api.get(ATTRIBUTES.format(laptop))) == {"custom:a": 1}
    for wrong in ({server: {"custom:a": {"value": "text"}}}, {"nNobody": {"custom:a": {"value": 5}}}):
        answer = await world.api.patch(BATCH, json={"nodes": {laptop: {"custom:a": {"value": 5}}, **wrong}})
        refused(answer, 404 if "nNobody" in wrong else 400)
        assert custom(await world.api.get(ATTRIBUTES.format(laptop))) == {"custom:a": 1}


async def test_what_is_not_allowed_is_refused_with_the_reason(world: World) -> None:
    await put(world, "custom:risk", value=3)
    for key, body, word in (
        ("node:os", {"value": "x"}, "custom:"),
        ("custom:", {"value": "x"}, "custom:"),
        ("custom:a-b", {"value": "x"}, "letters"),
        ("custom:" + "a" * 122, {"value": "x"}, "128"),
        ("custom:a", {}, "value"),
        ("custom:a", {"value": []}, "value"),
        ("custom:a", {"value": 1.5}, "whole number"),
        ("custom:a", {"value": 1 << 53}, "whole number"),
        ("custom:a", {"value": "a b"}, "letters"),
        ("custom:a", {"value": "x" * 51}, "50"),
        ("custom:a", {"value": 1, "expiry": "soon"}, "expiry"),
        ("custom:a", {"value": 1, "expiry": "2001-01-01T00:00:00Z"}, "passed"),
        ("custom:a", {"value": 1, "comment": "x" * 300}, "comment"),
        ("custom:risk", {"value": "low"}, "numbers"),
        ("custom:risk", {"value": True}, "numbers"),
        ("custom:RISK", {"value": 3}, "upper and lower case"),
    ):
        refused(await put(world, key, **body), 400, word)
    many = {f"custom:a{number}": {"value": number} for number in range(100)}
    refused(await world.api.patch(BATCH, json={"nodes": {str(world.laptop.id): many}}), 400, "at most 100")
    refused(await world.api.patch(BATCH, json={}), 400, "nodes")
    refused(await world.api.post("/device/99/attributes/custom:a", json={"value": 1}), 404, "not found")
    assert custom(await world.api.get(of(world))) == {"custom:risk": 3}
