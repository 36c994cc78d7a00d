"""What providers do differently and may: issuers, keys, ways to show a secret, forms of user info and groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from smartscale.auth.v1 import auth_pb2 as pb

from tests.fakes.provider import APP, CLIENT_ID, SECRET
from tests.fakes.sign_in import ALICE, CONFIRMING, Lab


async def test_a_bare_issuer_with_the_app_id_is_found(lab: Lab) -> None:
    lab.oidc = replace(lab.oidc, issuer=lab.provider.origin + "/", app_id="app-7f3c")
    await lab.begin()
    assert (await lab.come_back())[1].state == CONFIRMING


async def test_the_issuer_without_its_path_is_pinned_when_all_endpoints_have_it(lab: Lab) -> None:
    lab.provider.issuer = lab.provider.origin
    await lab.begin()
    assert (await lab.come_back())[1].state == CONFIRMING
    assert lab.tailnet.registry.sign_ins[-1].issuer == lab.provider.origin + APP


async def test_a_provider_that_begins_to_call_itself_by_its_full_address_has_the_same_people(lab: Lab) -> None:
    lab.provider.issuer = lab.provider.origin
    await lab.begin()
    started, shown = await lab.come_back()
    await lab.confirm(started, shown)
    lab.provider.issuer = lab.provider.origin + APP
    lab.tailnet.clock.advance(13 * 3600)
    await lab.new_device()
    started, shown = await lab.come_back()
    await lab.confirm(started, shown)
    first, second = lab.tailnet.registry.nodes.values()
    assert first.user_id == second.user_id


@pytest.mark.parametrize("suffix", ["/", "/.well-known/openid-configuration"])
async def test_what_is_pasted_behind_the_issuer_is_forgiven(lab: Lab, suffix: str) -> None:
    lab.oidc = replace(lab.oidc, issuer=lab.provider.issuer + suffix)
    await lab.begin()
    assert (await lab.come_back())[1].state == CONFIRMING


async def test_keys_that_were_rotated_just_before_signing_are_fetched_once(lab: Lab) -> None:
    await lab.begin()
    assert (await lab.come_back())[1].state == CONFIRMING

    def rotate() -> None:
        lab.provider.keys = [ECKey.generate_key("P-256", {"kid": "k2"})]

    lab.provider.before_signing = rotate
    await lab.new_device()
    assert (await lab.come_back())[1].state == CONFIRMING
    lab.provider.before_signing, lab.provider.header = None, {"kid": "k3"}
    for _ in range(3):
        assert (await lab.come_back())[1].reason == "token-key-unknown"
    assert sum(path.endswith("/jwks") for path in lab.provider.requests) == 2


async def test_one_key_needs_no_name(lab: Lab) -> None:
    lab.provider.header = {"kid": None}
    await lab.begin()
    assert (await lab.come_back())[1].state == CONFIRMING


@pytest.mark.parametrize("groups", ["dev", ["dev", "x"]])
async def test_groups_may_be_one_text_or_a_list(lab: Lab, groups: Any) -> None:
    lab.provider.person["groups"] = groups
    await lab.begin(allowed_groups=("dev",))
    assert (await lab.come_back())[1].state == CONFIRMING


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_both_ways_to_show_a_secret_work(lab: Lab, method: str) -> None:
    await lab.begin(client_auth=method)
    assert (await lab.come_back())[1].state == CONFIRMING


@pytest.mark.parametrize(
    ("declared", "taken", "asked"),
    [
        (None, "form", 2),
        ([], "form", 2),
        ("client_secret_post", "form", 2),
        (None, "Basic", 1),
        (["client_secret_post"], "form", 1),
        (["client_secret_post", "client_secret_basic"], "form", 2),
        (["none", "client_secret_post"], "form", 1),
    ],
)
async def test_a_secret_is_shown_in_the_form_where_the_header_is_refused(
    lab: Lab, declared: Any, taken: str, asked: int
) -> None:
    lab.provider.discovery = {"token_endpoint_auth_methods_supported": declared}
    lab.provider.shown_as = taken
    await lab.begin()
    assert (await lab.come_back())[1].state == CONFIRMING
    assert sum(path.endswith("/token") for path in lab.provider.requests) == asked
    assert (await lab.come_back())[1].state == CONFIRMING  # the method that was accepted comes first now
    assert sum(path.endswith("/token") for path in lab.provider.requests) == asked + 1


@pytest.mark.parametrize(
    ("settings", "declared"),
    [({"client_auth": "client_secret_basic"}, None), ({}, ["client_secret_basic"])],
)
async def test_a_secret_is_shown_in_no_other_way_than_configured_or_declared(
    lab: Lab, settings: dict[str, Any], declared: Any
) -> None:
    lab.provider.discovery = {"token_endpoint_auth_methods_supported": declared}
    lab.provider.shown_as = "form"
    await lab.begin(**settings)
    assert (await lab.come_back())[1].reason == "client-credentials"
    assert sum(path.endswith("/token") for path in lab.provider.requests) == 1


@pytest.mark.parametrize(
    ("claims", "header", "reason"),
    [
        ({"picture": "data:image/png;base64," + "A" * 90_000}, {}, ""),
        ({"groups": [f"group-{number:05}" for number in range(12_000)]}, {}, ""),
        ({"x": "A" * 300_000}, {}, ""),
        ({}, {"x5c": ["A" * 4000]}, ""),
        ({"x": "A" * 500_000}, {}, "token-too-large"),
    ],
)
async def test_a_large_id_token_is_read_up_to_a_limit_that_the_refusal_names(
    lab: Lab, claims: dict[str, Any], header: dict[str, Any], reason: str
) -> None:
    lab.provider.claims, lab.provider.header = claims, header
    await lab.begin()
    _, shown = await lab.come_back()
    assert shown.reason == reason
    if reason:
        assert "KiB" in shown.text and "512" in shown.text


async def test_what_is_left_out_is_on_the_page_and_in_the_health_of_sign_in(lab: Lab) -> None:
    lab.provider.person = {
        "sub": "s1",
        "email": "max.muster@example.com",
        "preferred_username": "max.muster@example.com",
        "name": "Max Muster",
        "groups": [{"id": "1", "name": "dev"}, {"id": "2"}],
    }
    await lab.begin()
    _, shown = await lab.come_back()
    assert shown.state == CONFIRMING and shown.user == "max.muster"
    assert len(shown.notices) == 2
    health = await lab.tailnet.stubs[-1].GetSignInHealth(pb.GetSignInHealthRequest())
    assert {one.text for one in health.notices} == set(shown.notices)
    assert any("oidc.email_verified_required" in one.remedy for one in health.notices)
    assert list(lab.tailnet.registry.sign_ins[-1].groups) == ["dev"]


async def test_a_secret_file_is_read_anew_at_each_use(lab: Lab) -> None:
    path = lab.folder / "secret"
    path.write_text("old\n")
    await lab.begin(client_secret="", client_secret_path=path)
    assert (await lab.come_back())[1].reason == "client-credentials"
    path.write_text(SECRET + "\n")
    assert (await lab.come_back())[1].state == CONFIRMING


async def test_we_prove_ourselves_by_a_signed_statement(lab: Lab) -> None:
    key = ECKey.generate_key("P-256")
    path = lab.folder / "client.pem"
    path.write_bytes(key.as_pem(private=True))
    lab.provider.client_key = key
    await lab.begin(client_secret="", private_key_path=path)
    assert (await lab.come_back())[1].state == CONFIRMING
    path.write_bytes(b"no key")
    assert (await lab.come_back())[1].reason == "client-credentials"


async def test_user_info_may_be_a_signed_token_and_is_proven_as_one(lab: Lab) -> None:
    key = lab.provider.keys[0]

    def signed(claims: dict[str, Any], by: RSAKey | ECKey) -> tuple[int, dict[str, str], bytes]:
        token = jws.serialize_compact({"alg": "RS256", "kid": "k1"}, orjson.dumps(claims), by, algorithms=["RS256"])
        return 200, {"content-type": "application/jwt"}, token.encode()

    await lab.begin()
    for claims, by, reason in (
        ({**ALICE, "groups": ["ops"], "iss": lab.provider.issuer, "aud": CLIENT_ID}, key, ""),
        ({**ALICE, "sub": "s2"}, key, "userinfo-subject"),
        ({**ALICE, "aud": "other"}, key, "userinfo-malformed"),
        ({**ALICE, "iss": "https://evil.example"}, key, "userinfo-malformed"),
        (ALICE, RSAKey.generate_key(2048), "token-signature"),
    ):
        lab.provider.answers = {"userinfo": signed(claims, by)}
        assert (await lab.come_back())[1].reason == reason
    assert list(lab.tailnet.registry.sign_ins[0].groups) == ["ops"] and len(lab.tailnet.registry.sign_ins) == 1


async def test_an_id_token_alone_is_enough_where_user_info_fails_and_nothing_needs_it(lab: Lab) -> None:
    lab.provider.info = None
    await lab.begin()
    assert (await lab.come_back())[1].state == CONFIRMING


async def test_claims_are_found_by_dotted_paths_and_by_names_that_are_urls(lab: Lab) -> None:
    from services.shared.config.login import OidcClaimsConfig

    lab.provider.person = {
        "sub": "s1",
        "https://idp.example/email": "alice@example.com",
        "email_verified": True,
        "realm": {"roles": ["dev"]},
        "nick": "ally",
    }
    claims = OidcClaimsConfig(email="https://idp.example/email", groups="realm.roles", username="nick")
    await lab.begin(claims=claims, allowed_groups=("dev",), allowed_domains=("example.com",))
    assert (await lab.come_back())[1].state == CONFIRMING
    sign_in = lab.tailnet.registry.sign_ins[-1]
    assert (list(sign_in.names), list(sign_in.groups)) == (["ally", "alice@example.com", "alice"], ["dev"])
