"""Several providers, each for itself; one that refuses a scope; crowds; and what administrators see of it all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
from smartscale.auth.v1 import auth_pb2 as pb

from services.auth.usecases import sign_in
from services.shared.config.login import ProviderConfig, ProviderGroupsConfig
from services.shared.rate import Rate
from tests.fakes.provider import CLIENT_ID, SECRET, Provider, provider_on_loopback
from tests.fakes.sign_in import ALICE, CONFIRMING, REFUSED, Lab

CALLBACK = "https://control.example.com/oidc/callback"


@pytest.fixture
async def other(lab: Lab) -> AsyncIterator[Provider]:
    async with provider_on_loopback(lab.tailnet.clock) as provider:
        provider.person = {**ALICE, "email": "alice@other.example"}
        yield provider


def second(provider: Provider, **settings: object) -> dict[str, ProviderConfig]:
    settings = {"issuer": provider.issuer, "client_id": CLIENT_ID, "client_secret": SECRET, **settings}
    return {"second": ProviderConfig(**settings)}  # type: ignore[arg-type]


def asked(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def back(lab: Lab, started: pb.StartSignInResponse, parameters: dict[str, str], to: str) -> pb.SignIn:
    return await lab.finish(started.browser_secret, {**parameters, "provider": to})


# Several


async def test_each_provider_has_a_button_a_redirect_url_and_people_of_its_own(lab: Lab, other: Provider) -> None:
    await lab.begin(providers=second(other, trusted_domains=("other.example",)))
    one, two = await lab.start(), await lab.start("second")
    assert one.authorization_url.startswith(lab.provider.origin) and two.authorization_url.startswith(other.origin)
    assert asked(one.authorization_url)["redirect_uri"] == CALLBACK
    assert asked(two.authorization_url)["redirect_uri"] == CALLBACK + "/second"
    shown = await back(lab, two, other.authorize(two.authorization_url), "second")
    assert (shown.state, shown.user) == (CONFIRMING, "alice@other.example")
    shown = await back(lab, one, lab.provider.authorize(one.authorization_url), "")
    assert (shown.state, shown.user) == (CONFIRMING, "alice@example.com")
    assert [one.issuer for one in lab.tailnet.registry.sign_ins] == [other.issuer, lab.provider.issuer]


async def test_the_rules_of_one_provider_are_not_those_of_another(lab: Lab, other: Provider) -> None:
    await lab.begin(allowed_domains=("example.com",), providers=second(other, allowed_domains=("else.example",)))
    two = await lab.start("second")
    shown = await back(lab, two, other.authorize(two.authorization_url), "second")
    assert (shown.reason, shown.final) == ("domain-not-allowed", True)


async def test_an_answer_at_the_redirect_url_of_another_provider_is_not_redeemed(lab: Lab, other: Provider) -> None:
    await lab.begin(providers=second(other))
    for name, provider, to in (("", lab.provider, "second"), ("second", other, ""), ("second", other, "none")):
        started = await lab.start(name)
        shown = await back(lab, started, provider.authorize(started.authorization_url), to)
        assert (shown.state, shown.reason, shown.final) == (REFUSED, "response-issuer", False)
    assert not any(path.endswith("/token") for path in (*lab.provider.requests, *other.requests))


async def test_an_answer_that_names_the_other_provider_is_not_redeemed(lab: Lab, other: Provider) -> None:
    await lab.begin(providers=second(other))
    started = await lab.start("second")
    parameters = {**other.authorize(started.authorization_url), "iss": lab.provider.issuer}
    assert (await back(lab, started, parameters, "second")).reason == "response-issuer"


async def test_a_provider_that_nobody_configured_is_not_found(lab: Lab) -> None:
    await lab.begin()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.start("second")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_first_of_the_others_is_the_default_where_there_is_no_own(lab: Lab, other: Provider) -> None:
    await lab.begin(issuer="", providers=second(other))
    started = await lab.start()
    assert asked(started.authorization_url)["redirect_uri"] == CALLBACK + "/second"
    shown = await back(lab, started, other.authorize(started.authorization_url), "second")
    assert shown.state == CONFIRMING


# What one provider's word counts for


@pytest.mark.parametrize(
    ("first", "settings", "person", "email", "groups"),
    [
        ({}, {}, {"email": "boss@example.com", "groups": ["admins"]}, "", []),
        ({}, {"groups": {"prefix": "x-"}}, {"groups": ["admins"]}, "", ["x-admins"]),
        ({}, {"groups": {"allow": ("ops", "x-*")}}, {"groups": ["admins", "ops", "x-1"]}, "", ["ops", "x-1"]),
        ({}, {"groups": {"rename": {"9f": "guests"}}}, {"groups": ["9f", "admins"]}, "", ["guests"]),
        (
            {"allowed_groups": ("guests",)},
            {"groups": {"rename": {"9f": "guests"}}},
            {"groups": ["9f", "admins"]},
            "",
            [],
        ),
        ({}, {"trusted_domains": ("other.example",)}, {"email": "a@other.example"}, "a@other.example", []),
        ({}, {"trusted_domains": ("other.example",)}, {"email": "a@sub.other.example"}, "", []),
        ({}, {"trusted_domains": ("*",)}, {"email": "boss@example.com"}, "boss@example.com", []),
        ({}, {"allowed_domains": ("other.example",)}, {"email": "a@Other.Example"}, "a@Other.Example", []),
        (
            {"allowed_domains": ("example.com",)},
            {"allowed_domains": ("example.com", "other.example")},
            {"email": "boss@example.com"},
            "",
            [],
        ),
        (
            {"trusted_domains": ("*.example.com",)},
            {"allowed_domains": ("eu.example.com",)},
            {"email": "boss@eu.example.com"},
            "",
            [],
        ),
    ],
)
async def test_a_further_provider_counts_only_for_what_is_stated_for_it(
    lab: Lab,
    other: Provider,
    first: dict[str, object],
    settings: dict[str, object],
    person: dict[str, object],
    email: str,
    groups: list[str],
) -> None:
    if isinstance(given := settings.get("groups"), dict):
        settings = {**settings, "groups": ProviderGroupsConfig(**given)}
    other.person = {**ALICE, "groups": [], **person}
    await lab.begin(**first, providers=second(other, **settings))
    two = await lab.start("second")
    shown = await back(lab, two, other.authorize(two.authorization_url), "second")
    assert shown.state == CONFIRMING
    sign_in = lab.tailnet.registry.sign_ins[-1]
    assert (sign_in.email, list(sign_in.groups)) == (email, groups)
    assert all("@" not in name or name == email for name in sign_in.names)
    if "email" in person and not email:
        assert any("not trusted" in notice for notice in shown.notices)


async def test_the_first_provider_counts_only_for_the_limits_that_are_stated_for_it(lab: Lab) -> None:
    await lab.begin(trusted_domains=("else.example",), groups=replace(lab.oidc.groups, allow=("ops",)))
    await lab.come_back()
    sign_in = lab.tailnet.registry.sign_ins[-1]
    assert (sign_in.email, list(sign_in.groups)) == ("", [])


# Scopes


async def test_a_provider_that_refuses_a_scope_is_asked_once_more_for_fewer(lab: Lab) -> None:
    lab.provider.discovery = {"scopes_supported": ["openid", "email", "profile"]}
    await lab.begin(scope=("openid", "profile", "email", "groups"))
    started = await lab.start()
    assert asked(started.authorization_url)["scope"] == "openid profile email groups"
    state = asked(started.authorization_url)["state"]
    refused = {"state": state, "error": "invalid_scope", "iss": lab.provider.issuer}
    ask = pb.FinishSignInRequest(browser_secret=started.browser_secret, **refused)
    again = (await lab.answer(ask)).authorization_url
    assert asked(again)["scope"] == "openid profile email" and asked(again)["state"] == state
    shown = await lab.finish(started.browser_secret, lab.provider.authorize(again))
    assert shown.state == CONFIRMING


async def test_one_browser_that_says_so_takes_no_scope_from_the_others(lab: Lab) -> None:
    await lab.begin(scope=("openid", "groups"))
    started = await lab.start()
    forged = {"state": asked(started.authorization_url)["state"], "error": "invalid_scope", "iss": lab.provider.issuer}
    await lab.answer(pb.FinishSignInRequest(browser_secret=started.browser_secret, **forged))
    assert asked((await lab.start()).authorization_url)["scope"] == "openid groups"


async def test_a_provider_that_goes_on_refusing_is_not_asked_for_ever(lab: Lab) -> None:
    await lab.begin(scope=("openid", "groups"))
    started = await lab.start()
    refused = {"state": asked(started.authorization_url)["state"], "error": "invalid_scope", "iss": lab.provider.issuer}
    ask = pb.FinishSignInRequest(browser_secret=started.browser_secret, **refused)
    assert asked((await lab.answer(ask)).authorization_url)["scope"] == "openid"
    shown = (await lab.answer(ask)).sign_in
    assert (shown.state, shown.reason) == (REFUSED, "provider-error")


async def test_nothing_is_dropped_of_what_every_provider_knows(lab: Lab) -> None:
    await lab.begin()
    _, shown = await lab.come_back(code=None, error="invalid_scope")
    assert (shown.state, shown.reason) == (REFUSED, "provider-error")


async def test_a_forged_refusal_of_scopes_changes_nothing(lab: Lab) -> None:
    await lab.begin(scope=("openid", "groups"))
    _, shown = await lab.come_back(code=None, error="invalid_scope", iss="https://evil.example")
    assert shown.reason == "response-issuer"
    assert asked((await lab.start()).authorization_url)["scope"] == "openid groups"


async def test_pkce_is_sent_although_the_configuration_turns_it_off(lab: Lab) -> None:
    await lab.begin(pkce=replace(lab.oidc.pkce, enabled=False, method="plain"))
    assert asked((await lab.start()).authorization_url)["code_challenge_method"] == "S256"
    assert (await lab.come_back())[1].state == CONFIRMING


# Crowds


async def test_a_crowd_of_one_address_is_slowed_and_nobody_else(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "STARTS_PER_NETWORK", Rate(burst=5, per_second=0.1))
    await lab.begin()
    for _ in range(5):
        await lab.start(address="192.0.2.1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.start(address="192.0.2.1")
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await lab.start(address="192.0.2.2")).flow_id
    lab.tailnet.clock.advance(60)
    assert (await lab.start(address="192.0.2.1")).flow_id


async def test_a_flood_of_logins_is_slowed_and_displaces_only_its_own(lab: Lab) -> None:
    await lab.begin()
    told, opened = 0, 0
    for _ in range(10_000):
        answer = await lab.tailnet.client(address="198.51.100.9").register()
        opened += bool(answer.login_needed.auth_url)
        told += bool(answer.retry_after)
        lab.tailnet.clock.advance(0.01)
    listed = await lab.tailnet.stub.ListPendingLogins(pb.ListPendingLoginsRequest())
    assert told and opened > 256 and len(listed.logins) == 256 + 1
    assert (await lab.come_back())[1].state == CONFIRMING
    assert (await lab.tailnet.client(address="203.0.113.5").register()).login_needed.auth_url


@pytest.mark.parametrize(
    "addresses", [[f"198.51.100.{n}" for n in range(1, 5)], [f"2001:db8:{n:x}::1" for n in range(99)]]
)
async def test_a_few_networks_cannot_use_up_the_logins_that_all_share(lab: Lab, addresses: list[str]) -> None:
    tuning = replace(lab.tailnet.config.tuning, register_cache_max_entries=64)
    lab.tailnet.config = replace(lab.tailnet.config, tuning=tuning)
    await lab.begin()
    for number in range(200):
        await lab.tailnet.client(address=addresses[number % len(addresses)]).register()
        lab.tailnet.clock.advance(0.01)
    listed = await lab.tailnet.stub.ListPendingLogins(pb.ListPendingLoginsRequest())
    assert len(listed.logins) == 64
    strangers = [await lab.tailnet.client(address=f"203.0.{n}.5").register() for n in range(10)]
    for number in range(200):
        await lab.tailnet.client(address=addresses[number % len(addresses)]).register()
        lab.tailnet.clock.advance(0.01)
    kept = {one.auth_id for one in (await lab.tailnet.stub.ListPendingLogins(pb.ListPendingLoginsRequest())).logins}
    assert {one.login_needed.auth_id for one in strangers} <= kept
    assert (await lab.come_back())[1].state == CONFIRMING


async def test_a_neighbour_at_the_same_address_pushes_nobody_out(lab: Lab) -> None:
    await lab.begin()
    for _ in range(400):
        await lab.tailnet.client(address="192.0.2.7").register()
        lab.tailnet.clock.advance(0.005)
    assert (await lab.come_back())[1].state == CONFIRMING


async def test_a_neighbour_that_uses_up_the_starts_of_an_address_stops_no_other_login(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "STARTS_PER_NETWORK", Rate(burst=3, per_second=0.001))
    await lab.begin()
    for _ in range(3):
        await lab.start(address="192.0.2.1")
    with pytest.raises(grpc.aio.AioRpcError):
        await lab.start(address="192.0.2.1")
    await lab.new_device()
    assert (await lab.start(address="192.0.2.1")).flow_id


# What administrators see


async def test_the_health_of_sign_in_names_providers_and_failures(lab: Lab, other: Provider) -> None:
    other.answers = {"openid-configuration": (404, {}, b"")}
    config = second(other, only_start_if_oidc_is_available=False, provider_name="Other")
    await lab.begin(providers=config, allowed_domains=("else.example",))
    _, shown = await lab.come_back()
    await lab.new_device()
    with pytest.raises(grpc.aio.AioRpcError):
        await lab.start("second")
    health = await lab.tailnet.stub.GetSignInHealth(pb.GetSignInHealthRequest())
    good, bad = health.providers
    assert (good.usable, good.accepted_issuer, good.redirect_uri) == (True, lab.provider.issuer, CALLBACK)
    assert (bad.name, bad.label, bad.usable, bad.reason) == ("second", "Other", False, "discovery-status")
    assert [(one.provider, one.reason, one.flow_id) for one in health.failures] == [
        ("second", "discovery-status", ""),
        ("", "domain-not-allowed", shown.flow_id),
    ]
    assert SECRET not in str(health)


async def test_only_the_last_failures_are_kept(lab: Lab) -> None:
    await lab.begin(allowed_domains=("else.example",))
    for _ in range(25):
        await lab.new_device()
        await lab.come_back()
    assert len((await lab.tailnet.stub.GetSignInHealth(pb.GetSignInHealthRequest())).failures) == 20
