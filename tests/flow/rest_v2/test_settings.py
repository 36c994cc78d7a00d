"""Settings and contacts over /api/v2: what can be changed takes effect, what cannot is refused with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from tests.flow.rest_v2.conftest import World
from tests.flow.rest_v2.test_keys import KEYS
from tests.flow.rest_v2.test_v2 import refused

SETTINGS = "/tailnet/-/settings"
CONTACTS = "/tailnet/-/contacts"
FIXED = {
    "devicesApprovalOn": False,
    "usersApprovalOn": False,
    "usersRoleAllowedToJoinExternalTailnets": "none",
    "networkFlowLoggingOn": False,
    "regionalRoutingOn": False,
    "routeSelection": "active-passive-failover",
    "postureIdentityCollectionOn": False,
    "httpsEnabled": False,
}
UNSET = {**FIXED, "aclsExternallyManagedOn": False, "aclsExternalLink": "", "devicesAutoUpdatesOn": False}
LINK = "https://git.example.com/policy"


async def change(world: World, **body: Any) -> Any:
    answer = await world.api.patch(SETTINGS, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == (await world.api.get(SETTINGS)).json()
    return answer.json()


def updates(world: World) -> Any:
    node = world.laptop.netmap.node
    assert node is not None
    return node["CapMap"]["default-auto-update"]


async def test_settings_that_can_be_changed_take_effect(world: World) -> None:
    assert (await world.api.get(SETTINGS)).json() == UNSET
    # As the official Go client sends every change.
    both = {"aclsExternallyManagedOn": None, "aclsExternalLink": None}
    assert await change(world, **both) == UNSET
    assert updates(world) == [False]
    assert (await change(world, devicesAutoUpdatesOn=True, **both))["devicesAutoUpdatesOn"] is True
    await world.laptop.until(lambda: updates(world) == [True])
    found = await change(world, aclsExternallyManagedOn=True, aclsExternalLink=LINK, devicesKeyDurationDays=7)
    assert found == {
        **UNSET,
        "devicesAutoUpdatesOn": True,
        "aclsExternallyManagedOn": True,
        "aclsExternalLink": LINK,
        "devicesKeyDurationDays": 7,
    }
    phone = world.tailnet.device("phone")
    await phone.join(await world.tailnet.auth_key(await world.tailnet.user("carol")))
    shown = (await world.api.get(f"/device/{phone.id}")).json()
    left = datetime.fromisoformat(shown["expires"]) - datetime.now(UTC)
    assert timedelta(days=6) < left <= timedelta(days=7)
    assert (await change(world, aclsExternalLink="", aclsExternallyManagedOn=False))["aclsExternalLink"] == ""


async def test_settings_that_cannot_be_changed_take_the_value_that_they_have(world: World) -> None:
    for name, value in FIXED.items():
        assert await change(world, **{name: value}) == UNSET
        other = "other" if isinstance(value, str) else True
        refused(await world.api.patch(SETTINGS, json={name: other}), 400, name, "cannot be changed")
    for body, word in (
        ({"routeSelection": "active-passive-failover", "regionalRoutingOn": False}, "regionalRoutingOn"),
        ({"devicesKeyDurationDays": 0}, "from 1 to 180"),
        ({"devicesKeyDurationDays": 181}, "from 1 to 180"),
        ({"devicesKeyDurationDays": "7"}, "from 1 to 180"),
        ({"devicesAutoUpdatesOn": 1}, "devicesAutoUpdatesOn"),
        ({"aclsExternalLink": "javascript:x"}, "http"),
        ({"httpsEnabled": "no"}, "httpsEnabled"),
        ({"devicesAutoUpdatesOn": True, "httpsEnabled": True}, "certificates"),
    ):
        refused(await world.api.patch(SETTINGS, json=body), 400, word)
    assert (await world.api.get(SETTINGS)).json() == UNSET


async def test_each_setting_has_its_scope(world: World) -> None:
    for scope, readable, body, allowed in (
        ("policy_file:read", {"aclsExternallyManagedOn", "aclsExternalLink"}, {"aclsExternalLink": LINK}, False),
        ("policy_file", {"aclsExternallyManagedOn", "aclsExternalLink"}, {"aclsExternalLink": LINK}, True),
        ("policy_file", {"aclsExternallyManagedOn", "aclsExternalLink"}, {"devicesAutoUpdatesOn": True}, False),
        ("networking_settings", {"httpsEnabled"}, {"httpsEnabled": False}, True),
        ("networking_settings", {"httpsEnabled"}, {"networkFlowLoggingOn": False}, False),
        ("logs:network", {"networkFlowLoggingOn"}, {"networkFlowLoggingOn": False}, True),
    ):
        made = (await world.api.post(KEYS, json={"keyType": "client", "scopes": [scope]})).json()
        async with httpx.AsyncClient(base_url=world.tailnet.url + "/api/v2", timeout=20) as api:
            token = (await api.post("/oauth/token", data={"client_secret": made["key"]})).json()["access_token"]
            api.headers["authorization"] = f"Bearer {token}"
            assert set((await api.get(SETTINGS)).json()) == readable
            answer = await api.patch(SETTINGS, json=body)
            assert answer.status_code == (200 if allowed else 403), answer.text


async def test_contacts_are_what_was_set(world: World) -> None:
    empty = {"email": "", "needsVerification": False}
    assert (await world.api.get(CONTACTS)).json() == {"account": empty, "support": empty, "security": empty}
    for name in ("account", "support", "security"):
        assert (await world.api.patch(f"{CONTACTS}/{name}", json={"email": f"{name}@example.com"})).json() == {}
        assert (await world.api.post(f"{CONTACTS}/{name}/resend-verification-email")).json() == {}
    found = (await world.api.get(CONTACTS)).json()
    assert {name: one["email"] for name, one in found.items()} == {
        name: f"{name}@example.com" for name in ("account", "support", "security")
    }
    refused(await world.api.patch(f"{CONTACTS}/press", json={"email": "a@example.com"}), 404, "contact")
    for body in ({}, {"email": ""}, {"email": "nobody"}, {"email": "a@b@c"}, {"email": "a b@example.com"}):
        refused(await world.api.patch(f"{CONTACTS}/support", json=body), 400, "email")
    assert (await world.api.get(CONTACTS)).json() == found
