"""Every change that administrators make is in the audit log, over every wire, and no secret is."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc.aio
import httpx
import orjson
import pytest
from headscale.v1 import node_pb2, policy_pb2, user_pb2
from smartscale.admin.v1 import audit_pb2, audit_pb2_grpc
from smartscale.types.v1.audit_pb2 import AuditEntry

from gateway.admin.audit import SUBJECTS
from gateway.admin.calls.table import all_methods
from gateway.admin.rest.v2 import logs
from gateway.admin.services import Services
from services.auth.usecases.audit import Audit
from tests.flow.rest_v2.conftest import World
from tests.flow.rest_v2.test_keys import KEYS, as_token
from tests.flow.rest_v2.test_v2 import refused


async def entries(world: World) -> list[AuditEntry]:
    async with grpc.aio.insecure_channel(f"unix:{world.socket}") as channel:
        stub: Any = audit_pb2_grpc.AuditAdminServiceStub(channel)
        verdict = await stub.VerifyEntries(audit_pb2.VerifyEntriesRequest())
        assert (verdict.first_wrong, verdict.problem) == (0, "")
        return list((await stub.ListEntries(audit_pb2.ListEntriesRequest(limit=1000))).entries)


async def test_changes_are_recorded_with_values_before_and_after_on_every_wire(world: World) -> None:
    seen = len(await entries(world))
    node_id = world.server.id
    async with httpx.AsyncClient(base_url=world.tailnet.url, headers={"authorization": f"Bearer {world.key}"}) as web:
        assert (await web.post(f"/api/v1/node/{node_id}/tags", json={"tags": ["tag:web"]})).status_code == 200
        assert (await web.get("/api/v1/node")).status_code == 200
        raw = user_pb2.CreateUserRequest(name="carol").SerializeToString()
        path = "/api/rpc/headscale.v1.HeadscaleService/CreateUser"
        assert (await web.post(path, content=raw, headers={"content-type": "application/proto"})).status_code == 200
    assert (await world.api.post(f"/device/{node_id}/tags", json={"tags": ["tag:db"]})).status_code == 200
    await world.tailnet.admin.RenameNode(node_pb2.RenameNodeRequest(node_id=node_id, new_name="db"))
    with pytest.raises(grpc.aio.AioRpcError):
        await world.tailnet.admin.DeleteNode(node_pb2.DeleteNodeRequest(node_id=99))
    v1, rpc, v2, local, failed = (await entries(world))[seen:]
    prefix = world.key.removeprefix("hskey-api-")[:12]
    assert (v1.wire, v1.address, v1.actor) == ("rest/v1", "127.0.0.1", f"api key {prefix}")
    assert (v1.target_type, v1.target, v1.action, v1.property) == ("NODE", str(node_id), "UPDATE", "ACL_TAGS")
    assert orjson.loads(v1.old_value)["tags"] == [] and orjson.loads(v1.new_value)["tags"] == ["tag:web"]
    assert (rpc.wire, rpc.target_type, rpc.action, orjson.loads(rpc.new_value)) == (
        "rpc", "USER", "CREATE", {"name": "carol"},
    )  # fmt: skip
    assert rpc.target.isdigit()
    assert (v2.wire, orjson.loads(v2.old_value)["tags"]) == ("rest/v2", ["tag:web"])
    assert (local.wire, local.actor, local.address) == ("grpc", f"unix socket ({getpass.getuser()})", "")
    assert {one.result for one in (v1, rpc, v2, local)} == {"OK"}
    assert (failed.result, failed.reason) == ("NOT_FOUND", "node not found")


async def test_refusals_of_those_who_are_known_are_recorded(world: World) -> None:
    async with await as_token(world, "devices:core:read") as api:
        seen = len(await entries(world))
        refused(await api.delete(f"/device/{world.server.id}"), 403)
        assert (await api.delete(f"{world.tailnet.url}/api/v1/node/{world.server.id}")).status_code == 403
        refused(await api.get("/tailnet/-/users"), 403)
        first, second = (await entries(world))[seen:]
    assert first.call == f"DELETE /api/v2/device/{world.server.id}" and first.actor.startswith("oauth client ")
    assert second.call.endswith("DeleteNode") and second.target == str(world.server.id)
    assert {first.result, second.result} == {"PERMISSION_DENIED"}


async def test_no_secret_is_in_the_log(world: World) -> None:
    secrets = [world.key]
    for body in (
        {"keyType": "client", "scopes": ["dns"]},
        {"capabilities": {"devices": {"create": {"tags": ["tag:web"]}}}},
    ):
        secrets.append((await world.api.post(KEYS, json=body)).json()["key"])
    auth_id = "hskey-authreq-0123456789abcdef01234567"
    headers = {"authorization": f"Bearer {world.key}"}
    async with httpx.AsyncClient(base_url=world.tailnet.url + "/api/v1", headers=headers) as web:
        await web.post("/debug/node", json={"user": "alice", "key": auth_id, "name": "made"})
        await web.post("/auth/register", json={"user": "alice", "authId": auth_id})
        secrets.append((await web.post("/apikey", json={})).json()["apiKey"])
    long = '{"groups": {"group:secret-project": []}, "acls": []}'
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=long))
    text = " ".join(str(one) for one in await entries(world))
    assert "AuthRegister" in text and "DebugCreateNode" in text
    for secret in (*secrets, auth_id, "secret-project"):
        assert secret not in text


async def test_nothing_is_changed_while_the_log_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> Any:
        raise OSError("disk full")

    monkeypatch.setattr(Audit, "begin", broken)
    answer = await world.api.delete(f"/device/{world.server.id}")
    monkeypatch.undo()
    refused(answer, 503, "audit log")
    assert (await world.api.get(f"/device/{world.server.id}")).status_code == 200


async def test_the_log_is_read_in_the_hosted_services_shape(world: World) -> None:
    await world.api.post(f"/device/{world.server.id}/name", json={"name": "renamed"})
    now = datetime.now(UTC)
    span = {"start": (now - timedelta(hours=1)).isoformat(), "end": (now + timedelta(hours=1)).isoformat()}
    path = "/tailnet/-/logging/configuration"
    found = (await world.api.get(path, params={**span, "event": "NODE.UPDATE.MACHINE_NAME"})).json()
    assert (found["version"], found["tailnet"]) == ("1.1", "tail.example.net")
    (entry,) = found["logs"]
    assert entry["type"] == "CONFIG" and len(entry["eventGroupID"]) == 32
    assert entry["target"] == {
        "id": str(world.server.id), "name": str(world.server.id), "type": "NODE", "property": "MACHINE_NAME",
    }  # fmt: skip
    assert entry["old"]["name"] == "server" and entry["new"]["name"] == "renamed"
    assert (await world.api.get(path, params={**span, "target": "nobody"})).json()["logs"] == []
    past = {"start": (now - timedelta(hours=2)).isoformat(), "end": (now - timedelta(hours=1)).isoformat()}
    assert (await world.api.get(path, params=past)).json()["logs"] == []
    refused(await world.api.get(path), 400, "start")
    refused(await world.api.get(path, params={"start": span["end"], "end": span["start"]}), 400, "end")


async def test_an_answer_has_a_bounded_number_of_changes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_ENTRIES", 1)
    monkeypatch.setattr(logs, "_PAGE", 1)
    for name in ("one", "two"):
        assert (await world.api.post(f"/device/{world.server.id}/name", json={"name": name})).status_code == 200
    now = datetime.now(UTC)
    span = {"start": (now - timedelta(hours=1)).isoformat(), "end": (now + timedelta(hours=1)).isoformat()}
    answer = await world.api.get("/tailnet/-/logging/configuration", params=span)
    refused(answer, 400, "shorter")


async def test_every_call_that_changes_something_has_a_subject() -> None:
    channel = grpc.aio.insecure_channel("unix:/nowhere")
    methods = all_methods(Services({"registry": channel, "auth": channel, "policy": channel}))
    changing = {method.name for method in methods.values() if method.changes}
    assert changing == set(SUBJECTS)
    for method in methods.values():
        if method.changes and SUBJECTS[method.name].field:
            assert SUBJECTS[method.name].field in method.contract.input_type.fields_by_name, method.name
