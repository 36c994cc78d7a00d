"""/api/v2 says what REST v1 and gRPC say: a table of its answers beside those of the other wires."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc.aio
import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from smartscale.admin.v1 import (
    device_pb2,
    device_pb2_grpc,
    dns_pb2,
    dns_pb2_grpc,
    settings_pb2,
    settings_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)

from tests.flow.rest_v2.conftest import World

CHANGES: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/dns/nameservers", {"dns": ["1.1.1.1", "8.8.8.8"]}),
    ("PUT", "/dns/split-dns", {"B.example.com": ["10.0.0.2"], "a.example.com": ["10.0.0.1"]}),
    ("POST", "/dns/searchpaths", {"searchPaths": ["example.org"]}),
    ("PATCH", "/settings", {"devicesKeyDurationDays": 9, "aclsExternalLink": "https://git.example.com"}),
    ("PATCH", "/contacts/support", {"email": "help@example.com"}),
    ("PATCH", "/device-attributes", {"nodes": {"1": {"custom:a": {"value": 7}}}}),
)


async def spoken(world: World, stub: type, call: str, request: Any) -> Any:
    async with grpc.aio.insecure_channel(f"unix:{world.socket}") as channel:
        return MessageToDict(await getattr(stub(channel), call)(request))


TABLE: tuple[tuple[str, type, str, Any, Callable[[Any], Any], Callable[[Any], Any]], ...] = (
    (
        "/dns/configuration", dns_pb2_grpc.DnsAdminServiceStub, "GetDns", dns_pb2.GetDnsRequest(),
        lambda one: (
            one["nameservers"], list(one["splitDNS"].items()), one["searchPaths"], one["preferences"]["magicDNS"],
        ),
        lambda one: (
            one["dns"]["nameservers"], [(part["domain"], part["resolvers"]) for part in one["dns"]["split"]],
            one["dns"]["searchPaths"], one["dns"]["magicDns"],
        ),
    ),
    (
        "/settings", settings_pb2_grpc.SettingsAdminServiceStub, "GetSettings", settings_pb2.GetSettingsRequest(),
        lambda one: (one["devicesKeyDurationDays"], one["aclsExternalLink"]),
        lambda one: (one["settings"]["keyDurationDays"], one["settings"]["aclsExternalLink"]),
    ),
    (
        "/contacts", settings_pb2_grpc.SettingsAdminServiceStub, "GetContacts", settings_pb2.GetContactsRequest(),
        lambda one: {name: contact["email"] for name, contact in one.items()},
        lambda one: {contact["type"]: contact.get("email", "") for contact in one["contacts"]},
    ),
    (
        "/devices", device_pb2_grpc.DeviceAdminServiceStub, "ListDevices", device_pb2.ListDevicesRequest(),
        lambda one: [(node["id"], node["nodeId"], node["addresses"], node["hostname"]) for node in one["devices"]],
        lambda one: [
            (node["id"], node["stableId"], [node["ipv4"], node["ipv6"]], node["hostname"]) for node in one["nodes"]
        ],
    ),
    (
        "/users", user_pb2_grpc.UserAdminServiceStub, "ListUsers", user_pb2.ListUsersRequest(),
        lambda one: [(user["id"], user["loginName"]) for user in one["users"]],
        lambda one: [(user["id"], user["name"]) for user in one["users"]],
    ),
)  # fmt: skip


async def test_v2_and_grpc_say_the_same(world: World) -> None:
    for verb, path, body in CHANGES:
        answer = await world.api.request(verb, f"/tailnet/-{path}", json=body)
        assert answer.status_code == 200, answer.text
    for path, stub, call, request, ours, theirs in TABLE:
        shown = (await world.api.get(f"/tailnet/-{path}")).json()
        assert ours(shown) == theirs(await spoken(world, stub, call, request)), path


@pytest.mark.parametrize("name", ["laptop", "server"])
async def test_v2_and_v1_say_the_same_of_a_device(world: World, name: str) -> None:
    node_id = getattr(world, name).id
    headers = {"authorization": f"Bearer {world.key}"}
    async with httpx.AsyncClient(base_url=world.tailnet.url, headers=headers, timeout=20) as v1:
        old = (await v1.get(f"/api/v1/node/{node_id}")).json()["node"]
    new = (await world.api.get(f"/device/{node_id}?fields=all")).json()
    assert (old["id"], old["ipAddresses"], old["nodeKey"]) == (new["id"], new["addresses"], new["nodeKey"])
    assert (old["name"], old["online"]) == (new["hostname"], new["connectedToControl"])
    assert old["approvedRoutes"] == new["enabledRoutes"]
