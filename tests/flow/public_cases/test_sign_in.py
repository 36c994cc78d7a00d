"""Answers of providers, at the auth service and a provider on loopback."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from smartscale.auth.v1 import auth_pb2 as pb

from tests.fakes.sign_in import CONFIRMING, REFUSED, Lab, lab_in
from tests.flow.public_cases.folder import copy_of


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab_in(tmp_path) as made:
        yield made


async def test_an_address_that_is_not_verified_does_not_name_the_user(lab: Lab, tmp_path: Path) -> None:
    lab.provider.person = json.loads((copy_of("52-oidc-entra-upn-unverified", tmp_path) / "claims.json").read_text())
    await lab.begin()
    shown = (await lab.come_back())[1]
    assert (shown.state, shown.user) == (CONFIRMING, "max.muster")
    (notice,) = shown.notices
    assert "max.muster@example.com" not in notice
    health = await lab.tailnet.stubs[-1].GetSignInHealth(pb.GetSignInHealthRequest())
    assert any("oidc.email_verified_required" in one.remedy for one in health.notices)


@pytest.mark.parametrize(("allowed", "state"), [((), CONFIRMING), (("dev",), CONFIRMING), (("ops",), REFUSED)])
async def test_groups_that_are_objects_count_by_their_names(
    lab: Lab, tmp_path: Path, allowed: tuple[str, ...], state: int
) -> None:
    lab.provider.person = json.loads((copy_of("54-oidc-groups-as-objects", tmp_path) / "claims.json").read_text())
    await lab.begin(allowed_groups=allowed)
    assert (await lab.come_back())[1].state == state


async def test_a_provider_that_declares_nothing_is_shown_the_secret_in_the_form(lab: Lab, tmp_path: Path) -> None:
    copy_of("56-oidc-post-secret-undeclared", tmp_path)
    lab.provider.discovery = {"token_endpoint_auth_methods_supported": None}
    lab.provider.shown_as = "form"
    await lab.begin()
    assert (await lab.come_back())[1].state == CONFIRMING


@pytest.mark.parametrize(("size", "reason"), [(60_000, ""), (500_000, "token-too-large")])
async def test_a_picture_in_the_token_is_left_out_or_the_refusal_says_how_large_it_may_be(
    lab: Lab, tmp_path: Path, size: int, reason: str
) -> None:
    copy_of("57-oidc-large-id-token", tmp_path)
    lab.provider.claims = {"picture": "data:image/png;base64," + "A" * size}
    await lab.begin()
    shown = (await lab.come_back())[1]
    assert shown.reason == reason
    assert not reason or ("512" in shown.text and "KiB" in shown.text)
