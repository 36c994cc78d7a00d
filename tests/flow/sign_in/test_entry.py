"""Who may enter, which address counts, and what a new user is called."""

from __future__ import annotations

from typing import Any

import pytest

from services.shared.config.errors import ConfigError
from tests.fakes.sign_in import ALICE, DONE, Lab


@pytest.mark.parametrize(
    ("settings", "person", "reason"),
    [
        ({"allowed_domains": ("example.com",)}, {}, ""),
        ({"allowed_domains": ("EXAMPLE.com",)}, {"email": "A@Example.COM"}, ""),
        ({"allowed_domains": ("other.com",)}, {}, "domain-not-allowed"),
        ({"allowed_domains": ("example.com",)}, {"email": "a@sub.example.com"}, "domain-not-allowed"),
        ({"allowed_domains": ("*.example.com",)}, {"email": "a@sub.example.com"}, ""),
        ({"allowed_domains": ("example.com",)}, {"email": "a@example.com@evil.com"}, "email-missing"),
        ({"allowed_domains": ("xn--mller-kva.de",)}, {"email": "a@müller.de"}, ""),
        ({"allowed_domains": ("example.com",)}, {"email_verified": False}, "email-unverified"),
        ({"allowed_domains": ("example.com",)}, {"email_verified": None}, "email-unverified"),
        ({"allowed_domains": ("example.com",)}, {"email_verified": "true"}, ""),
        ({"allowed_domains": ("example.com",)}, {"email": None}, "email-missing"),
        ({"allowed_domains": ("example.com",), "email_verified_required": False}, {"email_verified": False}, ""),
        ({"allowed_users": ("ALICE@example.com",)}, {}, ""),
        ({"allowed_users": ("bob@example.com",)}, {}, "user-not-allowed"),
        ({"allowed_groups": ("dev", "ops")}, {}, ""),
        ({"allowed_groups": ("Dev",)}, {}, "group-not-allowed"),
        ({"allowed_groups": ("dev",)}, {"groups": []}, "group-not-allowed"),
        ({"allowed_groups": ("dev",)}, {"groups": None}, "groups-missing"),
        ({"allowed_groups": ("dev",)}, {"groups": None, "_claim_names": {"groups": "x"}}, "groups-elsewhere"),
        ({"allowed_groups": ("dev",), "allowed_domains": ("other.com",)}, {}, "domain-not-allowed"),
        ({"auto_create_users": False}, {}, "user-unknown"),
        ({}, {"email_verified": False, "groups": None}, ""),
    ],
)
async def test_who_may_enter(lab: Lab, settings: dict[str, Any], person: dict[str, Any], reason: str) -> None:
    lab.provider.person = {name: value for name, value in {**ALICE, **person}.items() if value is not None}
    await lab.begin(**settings)
    started, shown = await lab.come_back()
    assert shown.reason == reason
    if shown.final:
        assert (await lab.device.follow(lab.url)).refused == shown.text
    elif not reason:
        assert (await lab.confirm(started, shown)).state == DONE


async def test_a_refusal_names_the_account_that_was_used(lab: Lab) -> None:
    await lab.begin(allowed_domains=("other.com",))
    _, shown = await lab.come_back()
    assert (shown.reason, shown.user) == ("domain-not-allowed", "alice@example.com")


async def test_an_address_cannot_borrow_its_truth_from_the_other_document(lab: Lab) -> None:
    lab.provider.claims = {"email": "alice@example.com", "email_verified": True}
    lab.provider.person = {"sub": "s1", "email": "boss@example.com"}
    await lab.begin(allowed_domains=("example.com",))
    assert (await lab.come_back())[1].reason == "email-unverified"


async def test_an_unverified_address_is_never_stored(lab: Lab) -> None:
    lab.provider.person = {"sub": "s1", "email": "boss@example.com", "preferred_username": "boss@example.com"}
    await lab.begin()
    await lab.come_back()
    sign_in = lab.tailnet.registry.sign_ins[-1]
    assert sign_in.email == "" and list(sign_in.names) == ["boss"]


async def test_a_name_follows_the_format(lab: Lab) -> None:
    lab.provider.person["department"] = "research"
    await lab.begin(namespace_format="{claim:department}.{email_local}")
    await lab.come_back()
    assert lab.tailnet.registry.sign_ins[-1].names[0] == "research.alice"


async def test_an_unknown_part_of_the_name_format_stops_the_start(lab: Lab) -> None:
    with pytest.raises(ConfigError, match=r"namespace_format"):
        await lab.begin(namespace_format="{mail}")
