"""The browser pages over the whole auth service: what they show, what they never do, and what goes with them."""

from __future__ import annotations

import base64
import hashlib
import plistlib
import re
from collections.abc import AsyncIterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from smartscale.auth.v1 import auth_pb2 as pb

from gateway.public import login
from gateway.public.framework import application
from gateway.public.pages.login import by_command
from tests.fakes.auth import AuthTailnet, auth_tailnet, config_for


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[AuthTailnet]:
    async with auth_tailnet(config_for(tmp_path)) as running:
        running.registry.add_user("alice")
        yield running


def browser_of(stub: Any, tailnet: AuthTailnet) -> httpx.AsyncClient:
    ways = (partial(by_command, command="headscale -c /srv/hs/config.yaml"),)
    routes = login.router(
        stub, "https://control.example.com/", ways=lambda: ways, ssh_ways=lambda: (), now=tailnet.clock.now
    )
    app = application(list(routes))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://control.example.com")


@pytest.fixture
async def browser(tailnet: AuthTailnet) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(tailnet.stub, tailnet) as client:
        yield client


class Tags(HTMLParser):
    """Collects what elements a page has, and whether they close as they open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.names.append(tag)
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def path_of(tailnet: AuthTailnet, **hostinfo: object) -> tuple[str, str]:
    needed = (await tailnet.client(**hostinfo).register()).login_needed
    return f"/register/{needed.auth_id}", needed.auth_id


async def test_the_page_shows_the_device_and_the_command(tailnet: AuthTailnet, browser: httpx.AsyncClient) -> None:
    client = tailnet.client(Hostname="build-7", OS="linux", OSVersion="6.12")
    needed = (await client.register()).login_needed
    tailnet.clock.advance(130)
    page = await browser.get(needed.auth_url)
    assert page.status_code == 200
    for text in ("build-7", "linux 6.12", str(client.machine), client.machine.raw.hex()[:4], "192.0.2.7"):
        assert text in page.text
    assert f"headscale -c /srv/hs/config.yaml auth register --auth-id {needed.auth_id} --user USERNAME" in page.text
    assert "2 minutes ago" in page.text and "in 12 minutes" in page.text


async def test_no_sign_in_button_is_shown_while_there_is_no_provider(
    tailnet: AuthTailnet, browser: httpx.AsyncClient
) -> None:
    path, _ = await path_of(tailnet)
    assert not {"button", "form", "input", "script", "img", "iframe"} & set(Tags((await browser.get(path)).text).names)


async def test_a_hostile_device_name_stays_text(tailnet: AuthTailnet, browser: httpx.AsyncClient) -> None:
    path, _ = await path_of(tailnet, Hostname="<script>alert(1)</script>{server_url}", OS='"><img src=x>&amp;')
    page = await browser.get(path)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{server_url}" in page.text
    tags = Tags(page.text)
    assert not {"script", "img"} & set(tags.names) and not tags.open


async def test_opening_it_often_and_in_any_way_changes_nothing(
    tailnet: AuthTailnet, browser: httpx.AsyncClient
) -> None:
    path, auth_id = await path_of(tailnet)
    before = (await tailnet.stub.GetPendingLogin(pb.GetPendingLoginRequest(auth_id=auth_id))).login
    for headers in ({}, {"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}):
        assert (await browser.get(path, headers=headers)).status_code == 200
        assert (await browser.head(path, headers=headers)).status_code == 200
    assert (await browser.post(path)).status_code == 405
    after = (await tailnet.stub.GetPendingLogin(pb.GetPendingLoginRequest(auth_id=auth_id))).login
    assert before == after and not tailnet.registry.nodes


async def test_a_decided_login_says_so_and_offers_nothing(tailnet: AuthTailnet, browser: httpx.AsyncClient) -> None:
    path, auth_id = await path_of(tailnet)
    await tailnet.approve(auth_id, 1)
    page = await browser.get(path)
    assert page.status_code == 200 and "already approved or refused" in page.text and "auth register" not in page.text


@pytest.mark.parametrize("auth_id", ["nonsense", "hskey-authreq-" + "0" * 24, "%3Cscript%3E", "x" * 5000, "%00", "ü"])
async def test_an_unknown_link_says_what_to_do(browser: httpx.AsyncClient, auth_id: str) -> None:
    page = await browser.get(f"/register/{auth_id}")
    assert page.status_code == 404
    assert "no longer valid" in page.text
    assert "tailscale up --login-server https://control.example.com" in page.text
    assert "<script>" not in page.text


async def test_an_expired_link_too(tailnet: AuthTailnet, browser: httpx.AsyncClient) -> None:
    path, _ = await path_of(tailnet)
    tailnet.clock.advance(15 * 60)
    assert (await browser.get(path)).status_code == 404


class _Away:
    async def GetPendingLogin(self, request: object, timeout: float) -> None:
        raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "secret")


async def test_a_service_that_is_away_is_no_dead_link(tailnet: AuthTailnet) -> None:
    async with browser_of(_Away(), tailnet) as browser:
        page = await browser.get("/register/hskey-authreq-" + "0" * 24)
    assert page.status_code == 503 and page.headers["retry-after"] == "5"
    assert "secret" not in page.text


@pytest.mark.parametrize("path", ["/register/nonsense", "/apple", "/windows", "/apple/nonsense"])
async def test_every_page_carries_its_headers(browser: httpx.AsyncClient, path: str) -> None:
    page = await browser.get(path)
    policy = page.headers["content-security-policy"]
    for rule in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'"):
        assert rule in policy
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-type"] == "text/html; charset=utf-8"


async def test_the_policy_lets_the_pages_own_style_through(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/apple")
    style = page.text.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/register/nonsense", "/apple", "/windows"])
async def test_pages_are_whole_fit_phones_and_know_the_dark(browser: httpx.AsyncClient, path: str) -> None:
    page = await browser.get(path)
    assert not Tags(page.text).open
    assert "width=device-width" in page.text and "prefers-color-scheme:dark" in page.text
    assert not re.search(r"\{[a-z_]+\}", page.text.split("</style>")[1])


async def test_the_help_names_this_server(browser: httpx.AsyncClient) -> None:
    for path in ("/apple", "/windows"):
        assert "tailscale login --login-server https://control.example.com" in (await browser.get(path)).text


@pytest.mark.parametrize(
    ("platform", "domain"),
    [
        ("ios", "io.tailscale.ipn.ios"),
        ("macos-app-store", "io.tailscale.ipn.macos"),
        ("macos-standalone", "io.tailscale.ipn.macsys"),
    ],
)
async def test_a_profile_points_the_client_here(browser: httpx.AsyncClient, platform: str, domain: str) -> None:
    answer = await browser.get(f"/apple/{platform}")
    assert answer.headers["content-type"] == "application/x-apple-aspen-config"
    (settings,) = plistlib.loads(answer.content)["PayloadContent"]
    assert settings["PayloadType"] == domain and settings["ControlURL"] == "https://control.example.com"
    assert (await browser.get(f"/apple/{platform}")).content == answer.content
