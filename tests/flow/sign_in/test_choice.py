"""Several providers at the pages: a button each, a crowd that is slowed, and a page that follows the configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from headscale.v1 import apikey_pb2

from gateway.public import sign_in
from gateway.public.framework import application
from gateway.public.offered import Offered
from services.auth.usecases import sign_in as beginnings
from services.shared.config import Config
from services.shared.config.login import OidcConfig, ProviderConfig
from services.shared.rate import Rate
from services.shared.runtime.clock import SystemClock
from tests.fakes.provider import CLIENT_ID, SECRET, Provider, provider_on_loopback
from tests.fakes.sign_in_pages import ALICE, PUBLIC, World, confirmation_of
from tests.fakes.tailnet import config_in, tailnet_in


@pytest.fixture
async def second() -> AsyncIterator[Provider]:
    async with provider_on_loopback(SystemClock()) as provider:
        provider.person = {**ALICE, "sub": "other", "email": "alice@else.example"}
        yield provider


@pytest.fixture
async def world(tmp_path: Path, second: Provider) -> AsyncIterator[World]:
    async with provider_on_loopback(SystemClock()) as provider:
        provider.person = dict(ALICE)
        settings: dict[str, Any] = {"client_id": CLIENT_ID, "client_secret": SECRET}
        more = ProviderConfig(
            issuer=second.issuer, provider_name="Entra & Co", trusted_domains=("else.example",), **settings
        )
        oidc = OidcConfig(issuer=provider.issuer, provider_name="SmartLink", providers={"entra": more}, **settings)
        config = replace(config_in(tmp_path), server_url=PUBLIC, oidc=oidc)
        async with tailnet_in(tmp_path, config) as tailnet:
            yield World(tailnet, provider)


async def test_each_provider_has_its_button_and_leads_to_a_device_that_is_in(world: World, second: Provider) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        page = await browser.get(path)
        assert "Login with SmartLink" in page.text and "Login with Entra &amp; Co" in page.text
        start = path.replace("/register/", "/oidc/start/")
        assert f'action="{start}"' in page.text and f'action="{start}/entra"' in page.text
        started = await browser.post(f"{start}/entra")
        assert started.headers["location"].startswith(second.origin)
        back = second.authorize(started.headers["location"])
        assert (await browser.get("/oidc/callback/none", params=back)).status_code == 303
        started = await browser.post(f"{start}/entra")
        back = second.authorize(started.headers["location"])
        answer = await browser.get("/oidc/callback/entra", params=back)
        page = await browser.get(answer.headers["location"])
        assert "alice@else.example" in page.text
        form = {"confirmation": confirmation_of(page), "answer": "yes"}
        await browser.post(answer.headers["location"], data=form)
    assert (await waiting)["MachineAuthorized"]


async def test_an_answer_at_the_wrong_door_is_refused_with_its_reason(world: World, second: Provider) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        started = await browser.post(path.replace("/register/", "/oidc/start/") + "/entra")
        answer = await browser.get("/oidc/callback", params=second.authorize(started.headers["location"]))
        page = await browser.get(answer.headers["location"])
        assert page.status_code == 403 and "response-issuer" in page.text
        assert (await browser.post(path.replace("/register/", "/oidc/start/") + "/none")).status_code == 404
    assert not any(request.endswith("/token") for request in second.requests)
    waiting.cancel()


async def test_a_scope_that_is_refused_sends_the_browser_once_more(world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    async with world.browser() as browser:
        started = await browser.post(path.replace("/register/", "/oidc/start/"))
        back = world.provider.authorize(started.headers["location"])
        refused = {"state": back["state"], "iss": back["iss"], "error": "invalid_scope"}
        page = await browser.get("/oidc/callback", params=refused)
        assert "/oidc/confirm/" in page.headers["location"]  # nothing beyond openid, profile, email was asked for
    waiting.cancel()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginnings, "STARTS_PER_NETWORK", Rate(burst=3, per_second=0.001))


async def test_a_crowd_at_the_button_is_told_when_to_come_back(few: None, world: World) -> None:
    _, path, waiting = await world.wait("laptop")
    start = path.replace("/register/", "/oidc/start/")
    async with world.browser() as browser:
        assert [(await browser.post(start)).status_code for _ in range(3)] == [303] * 3
        answer = await browser.post(start)
        assert answer.status_code == 429 and answer.headers["retry-after"] == "60"
        assert "Too many sign-ins at once" in answer.text and (await browser.get(path)).status_code == 200
    waiting.cancel()


async def test_rest_tells_the_health_of_sign_in_to_administrators_only(world: World) -> None:
    async with httpx.AsyncClient(base_url=world.tailnet.url) as web:
        assert (await web.get("/api/v1/oidc/health")).status_code == 401
        key = (await world.tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key
        web.headers["Authorization"] = f"Bearer {key}"
        health = (await web.get("/api/v1/oidc/health")).json()
        assert [(one["name"], one["label"], one["usable"]) for one in health["providers"]] == [
            ("", "SmartLink", True),
            ("entra", "Entra & Co", True),
        ]
        assert health["failures"] == [] and SECRET not in str(health)
        answer = await web.post("/api/v1/reload", json={})
        assert answer.status_code == 200 and "cannot read it again" in answer.json()["problems"][0]


async def test_the_buttons_follow_the_configuration() -> None:
    from datetime import UTC, datetime

    from google.protobuf.timestamp_pb2 import Timestamp
    from smartscale.auth.v1 import auth_pb2 as pb

    now = Timestamp()
    now.FromDatetime(datetime.now(UTC))
    login = pb.PendingLogin(
        auth_id="hskey-authreq-" + "0" * 24, machine_key=b"m" * 32, created_at=now, expires_at=now, hostname="laptop"
    )

    async def find(*_: object, **__: object) -> pb.GetPendingLoginResponse:
        return pb.GetPendingLoginResponse(login=login)

    offered = Offered(Config())
    routers = sign_in.page_routers(offered, PUBLIC, SimpleNamespace(GetPendingLogin=find))
    app = application([route for router in routers for route in router])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC) as web:
        page = await web.get("/register/" + login.auth_id)
        assert "Login with" not in page.text and "form-action 'none'" in page.headers["content-security-policy"]
        oidc = OidcConfig(issuer="https://idp.example", provider_name="SmartLink")
        (await offered.prepare(replace(Config(), oidc=oidc)))()
        page = await web.get("/register/" + login.auth_id)
        assert "Login with SmartLink" in page.text
        assert "form-action 'self' https:;" in page.headers["content-security-policy"]
