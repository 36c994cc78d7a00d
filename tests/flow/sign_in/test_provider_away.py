"""A provider that does not answer, or does not know us, at the start and later."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from services.auth.idp import discovery_loop
from services.shared.config.errors import ConfigError
from tests.fakes.sign_in import CONFIRMING, Lab


async def test_a_provider_that_comes_back_is_used_without_a_restart(lab: Lab) -> None:
    lab.provider.answers = {"openid-configuration": (503, {}, b"")}
    await lab.begin(only_start_if_oidc_is_available=False)
    with pytest.raises(grpc.aio.AioRpcError):
        await lab.start()
    lab.provider.answers = {}
    lab.tailnet.clock.advance(5)
    assert (await lab.come_back())[1].state == CONFIRMING


@pytest.mark.parametrize("secret", [" s", "s\n", "s\u200b", '"s"'])
async def test_a_secret_that_was_copied_wrongly_stops_the_start(lab: Lab, secret: str) -> None:
    with pytest.raises(ConfigError, match=r"oidc\.client_secret"):
        await lab.begin(client_secret=secret)


async def test_a_provider_that_must_answer_and_does_not_ends_the_start(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery_loop, "FIRST_PAUSE", 0.001)
    lab.provider.answers = {"openid-configuration": (503, {}, b"")}
    with pytest.raises(ConfigError, match=r"oidc\.issuer: http\S+ cannot be used: .* answers with 503"):
        await lab.begin()


async def test_a_provider_that_may_be_late_is_looked_for_beside_the_work(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(discovery_loop, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(discovery_loop, "LONGEST_PAUSE", 0.001)
    lab.provider.answers = {"openid-configuration": (503, {}, b"")}
    caplog.set_level("INFO", "services.auth.idp.discovery_loop")
    await lab.begin(only_start_if_oidc_is_available=False)
    assert (await lab.device.register()).login_needed.auth_url
    asked = len(lab.provider.requests)
    async with asyncio.timeout(10):
        while len(lab.provider.requests) < asked + 2:
            lab.tailnet.clock.advance(4)
            await asyncio.sleep(0.001)
        lab.provider.answers = {}
        while "provider found" not in caplog.text:
            lab.tailnet.clock.advance(4)
            await asyncio.sleep(0.001)
    found = len(lab.provider.requests)
    await lab.start()
    assert len(lab.provider.requests) == found


async def test_without_a_provider_there_is_nothing_to_start(lab: Lab) -> None:
    await lab.begin(issuer="")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.start()
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
