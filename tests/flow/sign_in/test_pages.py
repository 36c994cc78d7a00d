"""A browser, the gateway's pages, the whole control plane and a provider: from the button to a device that is in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from headscale.v1 import auth_pb2, policy_pb2

from services.shared.config.login import OidcConfig
from services.shared.runtime.clock import SystemClock
from services.shared.telemetry.logs import JsonFormatter
from tests.fakes.provider import CLIENT_ID, SECRET, provider_on_loopback
from tests.fakes.sign_in_pages import ALICE, BOB, PUBLIC, World, confirmation_of
from tests.fakes.tailnet import config_in, tailnet_in


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with provider_on_loopback(SystemClock()) as provider:
        provider.person = dict(ALICE)
        oidc = OidcConfig(
            issuer=provider.issuer, client_id=CLIENT_ID, client_secret=SECRET, provider_name="SmartLink <b>"
        )
        config = replace(config_in(tmp_path), server_url=PUBLIC, oidc=oidc)
        async with tailnet_in(tmp_path, config) as tailnet:
            yield World(tailnet, provider)


async def test_from_the_button_to_a_device_that_is_in(world: World) -> None:
    device = await world.join("laptop", dict(ALICE))
    assert device.netmap.node is not None
    profile = device.netmap.profiles[device.netmap.node["User"]]
    assert profile["LoginName"] == "alice@example.com"


async def test_the_landing_page_has_a_button_and_looking_at_it_does_nothing(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        page = await browser.get(path)
        assert "Login with SmartLink &lt;b&gt;" in page.text and 'method="post"' in page.text
        assert " auth register --auth-id" in page.text
        assert "form-action 'self' https: http:;" in page.headers["content-security-policy"]
        start = path.replace("/register/", "/oidc/start/")
        assert (await browser.get(start)).status_code == 405
        assert not browser.cookies
    assert not world.provider.codes and not waiting.done()
    waiting.cancel()


async def test_the_cookie_and_the_headers_give_nothing_away(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        started = await browser.post(path.replace("/register/", "/oidc/start/"))
        cookie = started.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie
        for name in ("cache-control", "referrer-policy", "x-frame-options", "content-security-policy"):
            assert name in started.headers
        assert started.headers["cache-control"] == "no-store"
    waiting.cancel()


async def test_another_browser_or_one_without_cookies_gets_nowhere(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as mine, world.browser() as other:
        started = await mine.post(path.replace("/register/", "/oidc/start/"))
        back = world.provider.authorize(started.headers["location"])
        lost = await other.get("/oidc/callback", params=back)
        assert lost.status_code == 404 and "did not start in this browser" in lost.text
        answer = await mine.get("/oidc/callback", params=back)
        assert (await other.get(answer.headers["location"])).status_code == 404
        assert "Is this your device?" in (await mine.get(answer.headers["location"])).text
    waiting.cancel()


async def test_a_browser_that_looks_ahead_does_not_spend_the_code(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        started = await browser.post(path.replace("/register/", "/oidc/start/"))
        back = world.provider.authorize(started.headers["location"])
        ahead = await browser.get("/oidc/callback", params=back, headers={"Sec-Purpose": "prefetch;prerender"})
        assert ahead.status_code == 403 and ahead.text == ""
        assert (await browser.head("/oidc/callback", params=back)).status_code == 405
        assert (await browser.get("/oidc/callback", params=back)).status_code == 303
        assert (await browser.get("/oidc/callback", params=back)).status_code == 303
    waiting.cancel()


async def test_forms_from_elsewhere_are_not_taken(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        start = path.replace("/register/", "/oidc/start/")
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await browser.post(start, headers=headers)).status_code == 403
        where, page = await world.to_confirm(browser, path)
        good = {"confirmation": confirmation_of(page), "answer": "yes"}
        assert (await browser.post(where, data=good, headers={"Origin": "https://evil.example"})).status_code == 403
        assert (await browser.post(where, data={**good, "confirmation": "x"})).status_code == 404
        assert (await browser.post(where, data={"answer": "yes"})).status_code == 404
        assert (await browser.post(where, content=b"\xff" * 10)).status_code == 403
        assert (await browser.post(where, content=b"a" * 10_000)).status_code == 403
    assert not await world.tailnet.nodes()
    waiting.cancel()


async def test_no_ends_it_for_the_device_too(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        where, page = await world.to_confirm(browser, path)
        await browser.post(where, data={"confirmation": confirmation_of(page), "answer": "no"})
        ended = await browser.get(where)
        assert ended.status_code == 403 and "The device was refused" in ended.text
        assert where.rpartition("/")[2] in ended.text and "device-not-mine" in ended.text
    assert "not their device" in str((await asyncio.wait_for(waiting, 10))["Error"])


async def test_a_device_that_was_decided_elsewhere_is_not_said_to_be_refused(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        where, page = await world.to_confirm(browser, path)
        await world.tailnet.user("bob")
        approval = auth_pb2.AuthRegisterRequest(user="bob", auth_id=path.removeprefix("/register/"))
        await world.tailnet.admin.AuthRegister(approval)
        assert (await asyncio.wait_for(waiting, 10))["MachineAuthorized"]
        await browser.post(where, data={"confirmation": confirmation_of(page), "answer": "yes"})
        ended = await browser.get(where)
        assert "The device was already approved or refused" in ended.text and "login-decided" in ended.text
        assert "shows this reason too" not in ended.text and "still waiting" not in ended.text


async def test_a_refused_person_reads_what_to_do(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        started = await browser.post(path.replace("/register/", "/oidc/start/"))
        back = {**world.provider.authorize(started.headers["location"]), "code": "", "error": "access_denied"}
        answer = await browser.get("/oidc/callback", params=back)
        page = await browser.get(answer.headers["location"])
    assert page.status_code == 403 and "What to do" in page.text and "access-denied" in page.text
    assert "another account" in page.text and "start at the device" in page.text
    assert (await asyncio.wait_for(waiting, 10))["Error"]


async def test_the_page_says_what_was_left_out(world: World) -> None:
    world.provider.person = {**ALICE, "email_verified": False, "groups": [{"id": 7}]}
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        started = await browser.post(path.replace("/register/", "/oidc/start/"))
        answer = await browser.get("/oidc/callback", params=world.provider.authorize(started.headers["location"]))
        page = await browser.get(answer.headers["location"])
        assert "Is this your device?" in page.text and "Not everything that the provider sent was used" in page.text
        assert "the e-mail address was left out" in page.text and "1 of 1 groups were left out" in page.text
    waiting.cancel()


async def test_each_page_of_an_error_has_a_reference_that_the_log_has_too(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    flow_id = "0123456789abcdef01234567"
    async with world.browser() as browser:
        for asked in (f"/oidc/confirm/{flow_id}", f"/oidc/callback?code=x&state={flow_id}.x"):
            caplog.clear()
            page = await browser.get(asked)
            assert page.status_code == 404 and f"<code>{flow_id}</code>" in page.text
            assert any(flow_id in JsonFormatter().format(record) for record in caplog.records)
        assert "<code>" not in (await browser.get("/oidc/confirm/<b>")).text


async def test_words_of_the_provider_stay_text(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        started = await browser.post(path.replace("/register/", "/oidc/start/"))
        back = world.provider.authorize(started.headers["location"])
        back = {**back, "code": "", "error": "server_error", "error_description": "<script>alert(1)</script>"}
        answer = await browser.get("/oidc/callback", params=back)
        page = await browser.get(answer.headers["location"])
        assert "&lt;script&gt;" in page.text and "<script" not in page.text and "Try again" in page.text
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.parametrize("query", ["", "?state=x", "?state=a&state=b", "?code=%ff%00&state=" + "a" * 3000])
async def test_garbage_at_the_callback_is_a_page(world: World, query: str) -> None:
    async with world.browser() as browser:
        page = await browser.get("/oidc/callback" + query)
        assert page.status_code in (400, 404) and "did not start in this browser" in page.text


async def test_a_browser_keeps_few_cookies(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        for _ in range(9):
            await browser.post(path.replace("/register/", "/oidc/start/"))
        assert len(browser.cookies) == 5
    waiting.cancel()


async def test_a_provider_that_is_down_is_said_and_the_device_waits_on(tmp_path: Path) -> None:
    oidc = OidcConfig(
        issuer="http://127.0.0.1:9/api/oidc/app",
        client_id=CLIENT_ID,
        client_secret=SECRET,
        only_start_if_oidc_is_available=False,
    )
    config = replace(config_in(tmp_path), server_url=PUBLIC, oidc=oidc)
    async with tailnet_in(tmp_path, config) as tailnet, provider_on_loopback(SystemClock()) as provider:
        world = World(tailnet, provider)
        _, path, waiting = await world.wait("laptop")
        async with world.browser() as browser:
            page = await browser.post(path.replace("/register/", "/oidc/start/"))
        assert page.status_code == 503 and "provider-unreachable" in page.text and not waiting.done()
        assert path.rpartition("/")[2] in page.text.partition("give this reference")[2]
        waiting.cancel()


POLICY = """{
  "groups": {"group:dev": ["carol@example.com"]},
  "acls": [{"action": "accept", "src": ["group:dev"], "dst": ["*:*"]}],
}"""


async def test_groups_of_the_provider_decide_who_sees_whom_and_keep_deciding(world: World) -> None:
    await world.tailnet.admin.SetPolicy(policy_pb2.SetPolicyRequest(policy=POLICY))
    laptop = await world.join("laptop", dict(ALICE))
    desk = await world.join("desk", dict(BOB))
    await laptop.sees(desk)
    phone = await world.join("phone", {**ALICE, "groups": []})
    await laptop.until(lambda: not laptop.netmap.peers)
    await desk.until(lambda: not desk.netmap.peers)
    await world.join("tablet", dict(ALICE))
    await laptop.sees(desk)
    await phone.sees(desk)
