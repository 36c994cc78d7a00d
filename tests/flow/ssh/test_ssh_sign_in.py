"""A person signs in to let an SSH session begin: only the owner of the source can, and only what they saw."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import pytest
from headscale.v1 import policy_pb2, preauthkey_pb2, user_pb2
from smartscale.admin.v1 import user_pb2 as admin_pb2
from smartscale.admin.v1 import user_pb2_grpc as admin_pb2_grpc

from services.shared.config.login import OidcConfig
from services.shared.runtime.clock import SystemClock
from services.shared.telemetry.logs import JsonFormatter
from tests.fakes.device import Device
from tests.fakes.provider import CLIENT_ID, SECRET, Provider, provider_on_loopback
from tests.fakes.ssh import Incoming
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

PUBLIC = "http://127.0.0.1:8080"
POLICY = (
    '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}], "tagOwners": {"tag:web": []}, "ssh": [{"action": '
    '"check", "src": ["autogroup:member"], "dst": ["tag:web"], "users": ["root"], "checkPeriod": "%s"}]}'
)
ALICE = {"sub": "a", "email": "alice@example.com", "email_verified": True, "groups": [], "name": "Alice"}
BOB = {"sub": "b", "email": "bob@example.com", "email_verified": True, "groups": [], "name": "Bob"}
EVE = {"sub": "e", "email": "eve@example.com", "email_verified": True, "groups": [], "name": "Eve"}


@dataclass
class World:
    """A control plane, its provider, alice's laptop and a server that tags own."""

    tailnet: Tailnet
    provider: Provider
    folder: Path
    laptop: Device
    server: Device

    async def open(self) -> tuple[str, asyncio.Task[dict[str, Any]]]:
        """A session from the laptop; its auth id, and what becomes of it."""
        incoming = Incoming(self.server, self.laptop)
        verdict = asyncio.create_task(incoming.decide())
        return await incoming.auth_id(), verdict

    async def sign_in(self, auth_id: str, person: dict[str, object]) -> tuple[httpx.AsyncClient, str, httpx.Response]:
        """A browser in which a person pressed the button, signed in and came back; its page."""
        self.provider.person = person
        browser = httpx.AsyncClient(base_url=self.tailnet.url)
        started = await browser.post(f"/oidc/start/{auth_id}")
        assert started.status_code == 303, started.text
        back = self.provider.authorize(started.headers["location"])
        answer = await browser.get("/oidc/callback", params=back)
        where = answer.headers["location"]
        return browser, where, await browser.get(where)

    async def suspend(self, user: str) -> None:
        """An administrator suspends somebody."""
        async with grpc.aio.insecure_channel(f"unix:{self.folder}/admin.sock") as channel:
            stub: Any = admin_pb2_grpc.UserAdminServiceStub(channel)  # type: ignore[no-untyped-call]
            await stub.SuspendUser(admin_pb2.SuspendUserRequest(user=user))

    async def users(self) -> list[str]:
        """Everybody's name."""
        return [user.name for user in (await self.tailnet.admin.ListUsers(user_pb2.ListUsersRequest())).users]


async def answer(browser: httpx.AsyncClient, where: str, page: httpx.Response, word: str = "yes") -> httpx.Response:
    """The person presses a button of the page; what they see then."""
    found = re.search(r'name="confirmation" value="([^"]+)"', page.text)
    assert found is not None, page.text
    done = await browser.post(where, data={"confirmation": found.group(1), "answer": word})
    assert done.status_code == 303
    return await browser.get(where)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with provider_on_loopback(SystemClock()) as provider:
        oidc = OidcConfig(issuer=provider.issuer, client_id=CLIENT_ID, client_secret=SECRET, provider_name="SmartLink")
        config = replace(config_in(tmp_path), server_url=PUBLIC, oidc=oidc)
        async with tailnet_in(tmp_path, config) as tailnet:
            admin = tailnet.admin
            await admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POLICY.replace("%s", "1h")))
            laptop, server = tailnet.device("laptop"), await tailnet.device("server").connect()
            made = World(tailnet, provider, tmp_path, laptop, server)
            await laptop.connect()
            url = (await laptop.register())["AuthURL"]
            waiting = asyncio.create_task(laptop.register(Followup=url))
            browser, where, page = await made.sign_in(url.rpartition("/")[2], dict(ALICE))
            async with aclosing(browser):
                await answer(browser, where, page)
            assert (await asyncio.wait_for(waiting, 10))["MachineAuthorized"]
            key = await admin.CreatePreAuthKey(preauthkey_pb2.CreatePreAuthKeyRequest(acl_tags=["tag:web"]))
            assert await laptop.open_map() == 200
            await laptop.until(lambda: laptop.netmap.node is not None)
            await server.join(key.pre_auth_key.key)
            await server.until(lambda: Incoming(server, laptop).rule() is not None)
            yield made


async def test_the_owner_sees_what_it_is_and_lets_it_begin(world: World) -> None:
    auth_id, verdict = await world.open()
    async with httpx.AsyncClient(base_url=world.tailnet.url) as looking:
        page = await looking.get(f"/auth/{auth_id}")
    assert "Login with SmartLink" in page.text and f" auth approve --auth-id {auth_id}" in page.text
    assert "form-action 'self' https: http:;" in page.headers["content-security-policy"]
    browser, where, asked = await world.sign_in(auth_id, dict(ALICE))
    async with aclosing(browser):
        for word in ("laptop", "server", "root", "alice@example.com", "Did you open this SSH session?"):
            assert word in page.text or word in asked.text
        assert not verdict.done()
        assert "The SSH session is allowed" in (await answer(browser, where, asked)).text
        assert (await asyncio.wait_for(verdict, 5))["accept"]
        assert "The SSH session is allowed" in (await browser.get(where)).text
    incoming = Incoming(world.server, world.laptop)
    assert (await incoming.decide())["accept"] and not incoming.banners


async def test_the_owner_says_no_and_the_terminal_hears_it(world: World) -> None:
    auth_id, verdict = await world.open()
    browser, where, asked = await world.sign_in(auth_id, dict(ALICE))
    async with aclosing(browser):
        ended = await answer(browser, where, asked, "no")
        assert ended.status_code == 403 and "session-not-mine" in ended.text
    told = await asyncio.wait_for(verdict, 5)
    assert told["reject"] and "its owner refused" in told["message"]


async def test_another_person_cannot_decide_it_and_it_waits_on_for_the_owner(world: World) -> None:
    await world.tailnet.admin.CreateUser(user_pb2.CreateUserRequest(name="bob", email="bob@example.com"))
    auth_id, verdict = await world.open()
    browser, _, refused = await world.sign_in(auth_id, dict(BOB))
    async with aclosing(browser):
        assert refused.status_code == 403 and "not-owner" in refused.text
        assert "belongs to somebody else" in refused.text and f"/register/{auth_id}" in refused.text
        assert 'name="confirmation"' not in refused.text
    assert not verdict.done()
    browser, where, asked = await world.sign_in(auth_id, dict(ALICE))
    async with aclosing(browser):
        await answer(browser, where, asked)
    assert (await asyncio.wait_for(verdict, 5))["accept"]


async def test_a_stranger_does_not_become_a_user_by_a_link_to_a_session(world: World) -> None:
    before = await world.users()
    auth_id, verdict = await world.open()
    browser, _, refused = await world.sign_in(auth_id, dict(EVE))
    async with aclosing(browser):
        assert refused.status_code == 403 and "user-unknown" in refused.text
    assert await world.users() == before and not verdict.done()
    verdict.cancel()


async def test_a_suspended_owner_lets_nothing_begin(world: World) -> None:
    auth_id, verdict = await world.open()
    browser, where, asked = await world.sign_in(auth_id, dict(ALICE))
    async with aclosing(browser):
        await world.suspend("alice@example.com")
        found = re.search(r'name="confirmation" value="([^"]+)"', asked.text)
        assert found is not None
        await browser.post(where, data={"confirmation": found.group(1), "answer": "yes"})
        ended = await browser.get(where)
        assert ended.status_code == 403 and "suspended" in ended.text
    told = await asyncio.wait_for(verdict, 5)
    assert told["reject"]


async def test_a_session_that_is_over_or_decided_leads_to_its_page(world: World) -> None:
    auth_id, verdict = await world.open()
    browser, where, asked = await world.sign_in(auth_id, dict(ALICE))
    async with aclosing(browser):
        await answer(browser, where, asked)
        assert (await asyncio.wait_for(verdict, 5))["accept"]
        late = await browser.post(f"/oidc/start/{auth_id}")
        assert late.status_code == 303 and late.headers["location"] == f"/register/{auth_id}"
        assert "already approved or refused" in (await browser.get(late.headers["location"])).text
        unknown = await browser.post("/oidc/start/hskey-authreq-" + "f" * 24)
        assert unknown.status_code == 404


async def test_two_tabs_are_asked_about_the_same_session_and_the_first_answer_counts(world: World) -> None:
    auth_id, verdict = await world.open()
    one, where, asked = await world.sign_in(auth_id, dict(ALICE))
    two, there, also = await world.sign_in(auth_id, dict(ALICE))
    async with aclosing(one), aclosing(two):
        await answer(one, where, asked)
        assert (await asyncio.wait_for(verdict, 5))["accept"]
        late = await answer(two, there, also, "no")
        assert late.status_code == 403
    incoming = Incoming(world.server, world.laptop)
    assert (await incoming.decide())["accept"]


async def test_the_log_says_who_let_what_begin_and_no_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        auth_id, verdict = await world.open()
        browser, where, asked = await world.sign_in(auth_id, dict(ALICE))
        secret = next(iter(browser.cookies.values()))
        async with aclosing(browser):
            await answer(browser, where, asked)
        await asyncio.wait_for(verdict, 5)
    ours = [record for record in caplog.records if record.name.startswith(("services.", "gateway."))]
    lines = [JsonFormatter().format(record) for record in ours]
    (said,) = [line for line in lines if "ssh session approved" in line]
    for part in ('"approved_by":"alice@example.com"', '"local_user":"root"', f'"source_id":{world.laptop.id}'):
        assert part in said.replace(": ", ":")
    assert not any(secret in line or SECRET in line for line in lines)
