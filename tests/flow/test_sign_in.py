"""Sign-in over the whole auth service and a provider on loopback: what ends well, and each lie with its own reason."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from smartscale.auth.v1 import auth_pb2 as pb

from services.auth.idp import search
from services.shared.config.errors import ConfigError
from tests.fakes.provider import APP, CLIENT_ID, SECRET
from tests.fakes.sign_in import ALICE, Lab, lab_in

DONE, REFUSED, CONFIRMING = pb.SIGN_IN_STATE_DONE, pb.SIGN_IN_STATE_REFUSED, pb.SIGN_IN_STATE_CONFIRMING


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab_in(tmp_path) as lab:
        yield lab


def code_of(error: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> grpc.StatusCode:
    code: grpc.StatusCode = error.value.code()
    return code


# What ends well


async def test_a_person_signs_in_confirms_and_the_waiting_device_is_in(lab: Lab) -> None:
    await lab.begin()
    waiting = lab.device.follow_soon(lab.url)
    await lab.tailnet.watched()
    started, shown = await lab.come_back()
    assert shown.state == CONFIRMING and shown.user == "alice@example.com" and shown.login.hostname == "laptop"
    assert not lab.tailnet.registry.nodes and not waiting.done()
    assert (await lab.confirm(started, shown)).state == DONE
    answer = await waiting
    assert answer.admitted.user.email == "alice@example.com"
    assert lab.tailnet.registry.admissions[-1].register_method == 3
    sign_in = lab.tailnet.registry.sign_ins[-1]
    assert (sign_in.issuer, sign_in.subject, list(sign_in.groups)) == (lab.provider.issuer, "s1", ["dev"])


async def test_each_step_may_land_on_another_instance(lab: Lab) -> None:
    await lab.begin(instances=3)
    waiting = lab.device.follow_soon(lab.url)
    started = await lab.start()
    parameters = lab.provider.authorize(started.authorization_url)
    shown = await lab.finish(started.browser_secret, parameters, instance=1)
    assert (await lab.confirm(started, shown)).state == DONE
    assert (await waiting).HasField("admitted")


async def test_reload_and_back_change_nothing(lab: Lab) -> None:
    await lab.begin()
    started = await lab.start()
    parameters = lab.provider.authorize(started.authorization_url)
    first = await lab.finish(started.browser_secret, parameters)
    assert await lab.finish(started.browser_secret, parameters) == first
    done = await lab.confirm(started, first)
    assert await lab.confirm(started, first) == done
    assert (await lab.finish(started.browser_secret, parameters)).state == DONE
    assert len(lab.tailnet.registry.admissions) == 1 and len(lab.tailnet.registry.sign_ins) == 1


async def test_two_tabs_do_not_disturb_each_other(lab: Lab) -> None:
    await lab.begin()
    one, two = await lab.start(), await lab.start()
    shown_two = await lab.finish(two.browser_secret, lab.provider.authorize(two.authorization_url))
    shown_one = await lab.finish(one.browser_secret, lab.provider.authorize(one.authorization_url))
    assert (await lab.confirm(one, shown_one)).state == DONE
    assert (await lab.confirm(two, shown_two)).state == DONE
    assert len(lab.tailnet.registry.admissions) == 1


async def test_the_same_answer_at_once_is_redeemed_once(lab: Lab) -> None:
    await lab.begin(instances=2)
    started = await lab.start()
    parameters = lab.provider.authorize(started.authorization_url)
    await asyncio.gather(*(lab.finish(started.browser_secret, parameters, number % 2) for number in range(6)))
    assert sum(path.endswith("/token") for path in lab.provider.requests) == 1


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


async def test_the_key_of_the_node_ends_as_configured(lab: Lab) -> None:
    await lab.begin(expiry=timedelta(days=3))
    started, shown = await lab.come_back()
    await lab.confirm(started, shown)
    ends = lab.tailnet.registry.admissions[-1].expiry.ToDatetime(tzinfo=lab.tailnet.clock.now().tzinfo)
    assert ends == lab.tailnet.clock.now() + timedelta(days=3)


async def test_an_expiry_of_zero_keeps_the_device_for_ever_whatever_other_nodes_have(lab: Lab) -> None:
    await lab.begin(expiry=timedelta(0))
    await lab.confirm(*await lab.come_back())
    admission = lab.tailnet.registry.admissions[-1]
    assert admission.no_expiry and not admission.HasField("expiry")
    await lab.new_device()
    await lab.confirm(*await lab.come_back())
    assert lab.tailnet.config.node.expiry and lab.tailnet.registry.admissions[-1].no_expiry


async def test_an_expiry_that_no_calendar_holds_means_for_ever(lab: Lab) -> None:
    await lab.begin(expiry=timedelta(days=9000 * 365))
    await lab.confirm(*await lab.come_back())
    assert lab.tailnet.registry.admissions[-1].no_expiry


async def test_who_says_yes_after_the_token_ended_must_begin_again(lab: Lab) -> None:
    await lab.begin(use_expiry_from_token=True)
    started, shown = await lab.come_back()
    lab.tailnet.clock.advance(timedelta(minutes=11))
    after = await lab.confirm(started, shown)
    assert (after.state, after.reason, after.final) == (REFUSED, "token-expired", False)
    assert not lab.tailnet.registry.nodes


async def test_the_key_of_the_node_ends_with_the_token_where_that_is_wanted(lab: Lab) -> None:
    await lab.begin(use_expiry_from_token=True)
    started, shown = await lab.come_back()
    await lab.confirm(started, shown)
    assert lab.tailnet.registry.admissions[-1].expiry.seconds == int(lab.tailnet.clock.now().timestamp()) + 600


# The browser


async def test_a_state_from_another_browser_or_a_forged_one_finds_nothing(lab: Lab) -> None:
    await lab.begin()
    mine, theirs = await lab.start(), await lab.start()
    parameters = lab.provider.authorize(mine.authorization_url)
    flow_id = mine.flow_id
    for secret, state in (
        (theirs.browser_secret, parameters["state"]),
        ("", parameters["state"]),
        (mine.browser_secret, flow_id + ".x"),
        (mine.browser_secret, "x"),
        (mine.browser_secret, ""),
        (mine.browser_secret, parameters["state"] + "x"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await lab.finish(secret, {**parameters, "state": state})
        assert code_of(caught) is grpc.StatusCode.NOT_FOUND
    assert not any(path.endswith("/token") for path in lab.provider.requests)
    assert (await lab.finish(mine.browser_secret, parameters)).state == CONFIRMING


async def test_a_code_of_another_browser_is_worthless(lab: Lab) -> None:
    await lab.begin()
    mine, theirs = await lab.start(), await lab.start()
    stolen = lab.provider.authorize(theirs.authorization_url)["code"]
    parameters = lab.provider.authorize(mine.authorization_url)
    assert (await lab.finish(mine.browser_secret, {**parameters, "code": stolen})).reason == "code-refused"


async def test_an_expired_sign_in_is_gone(lab: Lab) -> None:
    await lab.begin()
    started = await lab.start()
    lab.tailnet.clock.advance(15 * 60)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.finish(started.browser_secret, lab.provider.authorize(started.authorization_url))
    assert code_of(caught) is grpc.StatusCode.NOT_FOUND


async def test_a_confirmation_that_is_not_the_pages_is_refused(lab: Lab) -> None:
    await lab.begin()
    started, shown = await lab.come_back()
    shown.confirmation = "x"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.confirm(started, shown)
    assert code_of(caught) is grpc.StatusCode.INVALID_ARGUMENT and not lab.tailnet.registry.nodes


async def test_a_login_that_was_replaced_cannot_be_confirmed(lab: Lab) -> None:
    await lab.begin()
    started, shown = await lab.come_back()
    lab.device.regenerate()
    await lab.device.register()
    over = await lab.confirm(started, shown)
    assert (over.state, over.reason, over.final) == (REFUSED, "login-over", False)
    assert not lab.tailnet.registry.nodes


async def test_a_device_that_another_person_took_is_not_given_twice(lab: Lab) -> None:
    await lab.begin()
    started, shown = await lab.come_back()
    bob = lab.tailnet.registry.add_user("bob")
    await lab.tailnet.approve(lab.auth_id, bob)
    assert (await lab.confirm(started, shown)).reason == "login-decided"
    assert [node.user_id for node in lab.tailnet.registry.nodes.values()] == [bob]


async def test_the_person_who_says_no_turns_the_device_away(lab: Lab) -> None:
    await lab.begin()
    waiting = lab.device.follow_soon(lab.url)
    started, shown = await lab.come_back()
    refused = await lab.confirm(started, shown, approve=False)
    assert (refused.state, refused.reason, refused.final) == (REFUSED, "device-not-mine", True)
    assert "not theirs" in (await waiting).refused


async def test_a_denial_is_final_and_told_to_the_device(lab: Lab) -> None:
    await lab.begin()
    _, shown = await lab.come_back(code=None, error="access_denied", error_description="no <b>way</b>\n")
    assert (shown.reason, shown.final) == ("access-denied", True)
    assert "denied access: no <b>way</b>" in (await lab.device.follow(lab.url)).refused


async def test_only_so_many_sign_ins_of_one_device_are_kept(lab: Lab) -> None:
    await lab.begin()
    first = await lab.start()
    for _ in range(20):
        lab.tailnet.clock.advance(1)
        last = await lab.start()
    with pytest.raises(grpc.aio.AioRpcError):
        await lab.finish(first.browser_secret, lab.provider.authorize(first.authorization_url))
    assert (await lab.finish(last.browser_secret, lab.provider.authorize(last.authorization_url))).state == CONFIRMING


# The configuration


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
    monkeypatch.setattr(search, "FIRST_PAUSE", 0.001)
    lab.provider.answers = {"openid-configuration": (503, {}, b"")}
    with pytest.raises(ConfigError, match=r"oidc\.issuer: cannot be used: .* answers with 503"):
        await lab.begin()


async def test_a_provider_that_may_be_late_is_looked_for_beside_the_work(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(search, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(search, "LONGEST_PAUSE", 0.001)
    lab.provider.answers = {"openid-configuration": (503, {}, b"")}
    caplog.set_level("INFO", "services.auth.idp.search")
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
    assert code_of(caught) is grpc.StatusCode.FAILED_PRECONDITION


# Who may enter


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


async def test_an_address_cannot_borrow_its_truth_from_the_other_document(lab: Lab) -> None:
    lab.provider.claims = {"email": "alice@example.com", "email_verified": True}
    lab.provider.person = {"sub": "s1", "email": "boss@example.com"}
    await lab.begin(allowed_domains=("example.com",))
    assert (await lab.come_back())[1].reason == "email-unverified"


async def test_an_address_that_nobody_vouches_for_is_never_stored(lab: Lab) -> None:
    lab.provider.person = {"sub": "s1", "email": "boss@example.com", "preferred_username": "boss@example.com"}
    await lab.begin()
    await lab.come_back()
    sign_in = lab.tailnet.registry.sign_ins[-1]
    assert sign_in.email == "" and not sign_in.names


async def test_a_suspended_user_is_told_and_so_is_the_device(lab: Lab) -> None:
    user = lab.tailnet.registry.add_user("alice", provider_id=f"{lab.provider.issuer}/s1", suspended=True)
    await lab.begin()
    _, shown = await lab.come_back()
    assert (shown.reason, shown.final) == ("user-suspended", True) and user
    assert "suspended" in (await lab.device.follow(lab.url)).refused


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
    assert (list(sign_in.names), list(sign_in.groups)) == (["ally", "alice@example.com"], ["dev"])


async def test_a_name_follows_the_format(lab: Lab) -> None:
    lab.provider.person["department"] = "research"
    await lab.begin(namespace_format="{claim:department}.{email_local}")
    await lab.come_back()
    assert lab.tailnet.registry.sign_ins[-1].names[0] == "research.alice"


async def test_an_unknown_part_of_the_name_format_stops_the_start(lab: Lab) -> None:
    with pytest.raises(ConfigError, match=r"namespace_format"):
        await lab.begin(namespace_format="{mail}")


async def test_no_secret_reaches_the_log(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    await lab.begin()
    started = await lab.start()
    parameters = lab.provider.authorize(started.authorization_url)
    shown = await lab.finish(started.browser_secret, parameters)
    await lab.confirm(started, shown)
    written = "".join(capsys.readouterr())
    for secret in (started.browser_secret, parameters["state"], parameters["code"], SECRET, shown.confirmation):
        assert secret not in written


def test_what_is_stored_of_a_sign_in_cannot_finish_one() -> None:
    from services.auth.model.oidc.flow import digest

    assert len(digest("browser", "x")) == 64 and digest("browser", "x") != digest("state", "x")
