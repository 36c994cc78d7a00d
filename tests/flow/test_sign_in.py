"""Sign-in over the whole auth service and a provider on loopback: what ends well, and each lie with its own reason."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from smartscale.auth.v1 import auth_pb2 as pb

from services.shared.config.errors import ConfigError
from tests.fakes.provider import APP, CLIENT_ID, SECRET, b64
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
    assert lab.tailnet.registry.sign_ins[-1].issuer == lab.provider.origin


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
    from datetime import timedelta

    await lab.begin(expiry=timedelta(days=3))
    started, shown = await lab.come_back()
    await lab.confirm(started, shown)
    ends = lab.tailnet.registry.admissions[-1].expiry.ToDatetime(tzinfo=lab.tailnet.clock.now().tzinfo)
    assert ends == lab.tailnet.clock.now() + timedelta(days=3)


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


async def test_only_so_many_sign_ins_of_one_device_are_kept(lab: Lab) -> None:
    await lab.begin()
    first = await lab.start()
    for _ in range(20):
        lab.tailnet.clock.advance(1)
        last = await lab.start()
    with pytest.raises(grpc.aio.AioRpcError):
        await lab.finish(first.browser_secret, lab.provider.authorize(first.authorization_url))
    assert (await lab.finish(last.browser_secret, lab.provider.authorize(last.authorization_url))).state == CONFIRMING


# The lies of a provider. The names are those of the OpenID conformance suite where it has the case.


def unsigned(header: dict[str, Any], claims: dict[str, Any], alg: str = "none") -> str:
    return f"{b64(orjson.dumps({**header, 'alg': alg}))}.{b64(orjson.dumps(claims))}."


def shared_secret(key: RSAKey) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    def sign(header: dict[str, Any], claims: dict[str, Any]) -> str:
        body = f"{b64(orjson.dumps({**header, 'alg': 'HS256'}))}.{b64(orjson.dumps(claims))}"
        return body + "." + b64(hmac.new(key.as_pem(private=False), body.encode(), hashlib.sha256).digest())

    return sign


def own_key(header: dict[str, Any], claims: dict[str, Any]) -> str:
    key = RSAKey.generate_key(2048)
    with_key = {**header, "jwk": key.as_dict(private=False), "jku": "https://evil.example/jwks"}
    registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    return jws.serialize_compact(with_key, orjson.dumps(claims), key, registry=registry)


def flipped(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return own_key({"alg": "RS256", "kid": header["kid"]}, claims)


TOKEN_LIES: dict[str, tuple[dict[str, Any], str]] = {
    "id token alg none": ({"sign": unsigned}, "token-algorithm"),
    "alg none even when the provider lists it": (
        {"sign": unsigned, "discovery": {"id_token_signing_alg_values_supported": ["none", "RS256"]}},
        "token-algorithm",
    ),
    "invalid signature": ({"sign": flipped}, "token-signature"),
    "key in the header": ({"sign": own_key}, "token-signature"),
    "invalid aud": ({"claims": {"aud": "somebody-else"}}, "token-audience"),
    "empty aud": ({"claims": {"aud": []}}, "token-audience"),
    "several aud without azp": ({"claims": {"aud": [CLIENT_ID, "other"]}}, "token-party"),
    "azp of another": ({"claims": {"azp": "other"}}, "token-party"),
    "invalid issuer": ({"claims": {"iss": "https://evil.example"}}, "token-issuer"),
    "missing iat": ({"claims": {"iat": None}}, "token-time"),
    "missing exp": ({"claims": {"exp": None}}, "token-time"),
    "exp that is text": ({"claims": {"exp": "tomorrow"}}, "token-time"),
    "exp beyond all time": ({"claims": {"exp": 10**17}}, "token-time"),
    "missing sub": ({"claims": {"sub": None}}, "token-subject"),
    "sub too long": ({"claims": {"sub": "s" * 256}}, "token-subject"),
    "nonce invalid": ({"claims": {"nonce": "other"}}, "token-nonce"),
    "nonce missing": ({"claims": {"nonce": None}}, "token-nonce"),
    "at_hash of another": ({"claims": {"at_hash": "AAAA"}}, "token-hash"),
    "unknown crit": ({"header": {"crit": ["x"], "x": 1}, "sign": None}, "token-critical"),
    "logout token": ({"header": {"typ": "logout+jwt"}}, "token-type"),
    "no token": ({"token": {"id_token": None}}, "token-missing"),
    "no bearer": ({"token": {"token_type": "mac"}}, "token-missing"),
    "garbage for a token": ({"token": {"id_token": "a.b.c"}}, "token-malformed"),
    "a token of megabytes": ({"token": {"id_token": "a" * 70000 + ".b.c"}}, "token-malformed"),
    "invalid sub in userinfo": ({"info": {"sub": "s2"}}, "userinfo-subject"),
    "userinfo without sub": ({"info": {"sub": None}}, "userinfo-subject"),
    "groups that are objects": ({"info": {"groups": [{"name": "admins"}]}}, "claim-malformed"),
    "token answer of 11 MB": ({"answers": {"token": (200, {}, b"x" * 11_000_000)}}, "answer-too-large"),
    "token redirect": ({"answers": {"token": (302, {"location": "https://evil.example"}, b"")}}, "redirected"),
    "token html": ({"answers": {"token": (500, {}, b"<html>")}}, "token-endpoint"),
    "jwks html": ({"answers": {"jwks": (200, {}, b"<html>")}}, "jwks-unusable"),
    "jwks without keys": ({"published": []}, "jwks-unusable"),
    "userinfo html": ({"answers": {"userinfo": (200, {}, b"<html>")}}, "userinfo-malformed"),
}


@pytest.mark.parametrize("lie", TOKEN_LIES)
async def test_a_lie_of_the_provider_is_refused_with_its_reason(lab: Lab, lie: str) -> None:
    twists, reason = TOKEN_LIES[lie]
    if "crit" in twists.get("header", {}):
        twists = {"sign": lambda header, claims: unsigned({**header, "crit": ["x"], "x": 1}, claims, "RS256") + "AAAA"}
    for name, value in twists.items():
        setattr(lab.provider, name, value)
    await lab.begin()
    waiting = lab.device.follow_soon(lab.url)
    await lab.tailnet.watched()
    _, shown = await lab.come_back()
    assert (shown.state, shown.reason, shown.final) == (REFUSED, reason, False)
    assert shown.text and not lab.tailnet.registry.sign_ins and not waiting.done()
    waiting.cancel()


async def test_hs256_keyed_with_the_public_key_is_refused(lab: Lab) -> None:
    key = lab.provider.keys[0]
    assert isinstance(key, RSAKey)
    lab.provider.sign = shared_secret(key)
    lab.provider.discovery = {"id_token_signing_alg_values_supported": ["RS256", "HS256"]}
    await lab.begin()
    assert (await lab.come_back())[1].reason == "token-algorithm"


async def test_kid_absent_with_several_keys_is_refused(lab: Lab) -> None:
    lab.provider.keys += [RSAKey.generate_key(2048, {"kid": "k2"})]
    lab.provider.header = {"kid": None}
    await lab.begin()
    assert (await lab.come_back())[1].reason == "token-key-ambiguous"


async def test_a_weak_key_is_refused(lab: Lab) -> None:
    lab.provider.keys = [RSAKey.generate_key(1024, {"kid": "k1"})]
    await lab.begin()
    assert (await lab.come_back())[1].reason == "token-key-weak"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": -61}, "token-expired"),
        ({"iat": 61}, "token-future"),
        ({"nbf": 61}, "token-future"),
        ({"iat": -661}, "token-old"),
        ({"exp": -59, "iat": -200}, ""),
        ({"iat": 59, "nbf": 59}, ""),
    ],
)
async def test_times_are_held_with_a_minute_of_leeway(lab: Lab, claims: dict[str, int], reason: str) -> None:
    now = int(lab.tailnet.clock.now().timestamp())
    lab.provider.claims = {name: now + offset for name, offset in claims.items()}
    await lab.begin()
    assert (await lab.come_back())[1].reason == reason


@pytest.mark.parametrize(
    ("over", "reason", "final"),
    [
        ({"iss": "https://evil.example"}, "response-issuer", False),
        ({"iss": None}, "response-issuer", False),
        ({"code": None}, "response-incomplete", False),
        ({"code": None, "error": "access_denied", "error_description": "no <b>way</b>\n"}, "access-denied", True),
        ({"code": None, "error": "server_error"}, "provider-error", False),
        ({"code": "guessed"}, "code-refused", False),
    ],
)
async def test_wrong_answers_to_the_browser(lab: Lab, over: dict[str, Any], reason: str, final: bool) -> None:
    await lab.begin()
    _, shown = await lab.come_back(**over)
    assert (shown.reason, shown.final) == (reason, final)
    answer = await lab.device.follow(lab.url) if final else None
    assert answer is None or "denied access: no <b>way</b>" in answer.refused


# The description


@pytest.mark.parametrize(
    ("twist", "reason"),
    [
        ({"discovery": {"issuer": "https://evil.example"}}, "issuer-mismatch"),
        ({"discovery": {"issuer": "https://evil.example" + APP}}, "issuer-mismatch"),
        ({"discovery": {"token_endpoint": None}}, "discovery-incomplete"),
        ({"discovery": {"issuer": None}}, "discovery-incomplete"),
        ({"discovery": {"token_endpoint": "http://192.0.2.1/token"}}, "endpoint-insecure"),
        ({"discovery": {"jwks_uri": "file:///etc/passwd"}}, "endpoint-insecure"),
        ({"discovery": {"response_types_supported": ["id_token"]}}, "discovery-unsuitable"),
        ({"discovery": {"code_challenge_methods_supported": ["plain"]}}, "discovery-unsuitable"),
        ({"discovery": {"id_token_signing_alg_values_supported": ["none", "HS256"]}}, "discovery-unsuitable"),
        ({"answers": {"openid-configuration": (200, {}, b"<html>sign in</html>")}}, "discovery-not-json"),
        ({"answers": {"openid-configuration": (200, {}, b"[]")}}, "discovery-not-json"),
        ({"answers": {"openid-configuration": (404, {}, b"")}}, "discovery-status"),
        ({"answers": {"openid-configuration": (302, {"location": "/x"}, b"")}}, "redirected"),
        ({"answers": {"openid-configuration": (200, {}, b" " * 10_000_000)}}, "answer-too-large"),
        ({"answers": {"openid-configuration": (200, {"content-encoding": "gzip"}, b"x")}}, "answer-too-large"),
    ],
)
async def test_a_description_that_cannot_be_believed(lab: Lab, twist: dict[str, Any], reason: str) -> None:
    for name, value in twist.items():
        setattr(lab.provider, name, value)
    await lab.begin(only_start_if_oidc_is_available=False)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.start()
    assert code_of(caught) is grpc.StatusCode.UNAVAILABLE
    assert (caught.value.details() or "").startswith(reason + ": ")


async def test_a_bare_issuer_is_not_pinned_when_one_endpoint_lies_elsewhere(lab: Lab) -> None:
    lab.provider.issuer = lab.provider.origin
    lab.provider.discovery = {"jwks_uri": lab.provider.origin + "/jwks"}
    await lab.begin(only_start_if_oidc_is_available=False)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await lab.start()
    assert (caught.value.details() or "").startswith("issuer-mismatch: ")


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
