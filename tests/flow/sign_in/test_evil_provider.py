"""A provider that lies: every relying-party case of the OpenID conformance suite by its name there, and ours.

Each lie has its own reason; an empty reason means that the case must be accepted. A refused sign-in creates nobody, is
not final, and leaves the device waiting.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import orjson
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from smartscale.auth.v1 import auth_pb2 as pb

from tests.fakes.provider import APP, CLIENT_ID, Answer, Provider, b64
from tests.fakes.sign_in import Lab
from tests.flow.sign_in import test_dialects, test_entry, test_foreign_browsers, test_pages, test_providers, test_way_in

Claims = dict[str, Any]
Twist = Callable[[Provider], None]

# How tokens are forged


def unsigned(header: Claims, claims: Claims, alg: str = "none") -> str:
    return f"{b64(orjson.dumps({**header, 'alg': alg}))}.{b64(orjson.dumps(claims))}."


def own_key(header: Claims, claims: Claims) -> str:
    key = RSAKey.generate_key(2048)
    with_key = {**header, "jwk": key.as_dict(private=False), "jku": "https://evil.example/jwks"}
    registry = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)
    return jws.serialize_compact(with_key, orjson.dumps(claims), key, registry=registry)


def stolen_kid(header: Claims, claims: Claims) -> str:
    return own_key({"alg": "RS256", "kid": header["kid"]}, claims)


def other_curve(header: Claims, claims: Claims) -> str:
    key = ECKey.generate_key("P-256")
    return jws.serialize_compact(
        {"alg": "ES256", "kid": header["kid"]}, orjson.dumps(claims), key, algorithms=["ES256"]
    )


def critical(header: Claims, claims: Claims) -> str:
    return unsigned({**header, "crit": ["x"], "x": 1}, claims, "RS256") + "AAAA"


def not_base64(header: Claims, claims: Claims) -> str:
    return "%%%." + b64(orjson.dumps(claims)) + ".AAAA"


def changed(header: Claims, claims: Claims, key: RSAKey) -> str:
    """Signed well, and then another person written in."""
    token = jws.serialize_compact(header, orjson.dumps(claims), key, algorithms=["RS256"])
    head, _, tail = token.split(".")
    return f"{head}.{b64(orjson.dumps({**claims, 'sub': 'boss'}))}.{tail}"


def signs(sign: Callable[[Claims, Claims], str]) -> Twist:
    return lambda provider: setattr(provider, "sign", sign)


def with_public_key(provider: Provider) -> None:
    """HS256, keyed with the text of the public key (RFC 8725 §2.1)."""
    key = provider.keys[0]
    assert isinstance(key, RSAKey)
    pem = key.as_pem(private=False)

    def sign(header: Claims, claims: Claims) -> str:
        body = f"{b64(orjson.dumps({**header, 'alg': 'HS256'}))}.{b64(orjson.dumps(claims))}"
        return body + "." + b64(hmac.new(pem, body.encode(), hashlib.sha256).digest())

    provider.sign = sign
    provider.discovery = {"id_token_signing_alg_values_supported": ["RS256", "HS256"]}


def change_after_signing(provider: Provider) -> None:
    key = provider.keys[0]
    assert isinstance(key, RSAKey)
    provider.sign = lambda header, claims: changed(header, claims, key)


def padded(provider: Provider) -> None:
    """A second signature value that some decoders take for the first."""
    key = provider.keys[0]

    def sign(header: Claims, claims: Claims) -> str:
        head, body, tail = jws.serialize_compact(header, orjson.dumps(claims), key, algorithms=["RS256"]).split(".")
        raw = bytearray(base64.urlsafe_b64decode(tail + "=="))
        raw[-1] ^= 1
        return f"{head}.{body}.{b64(bytes(raw))}"

    provider.sign = sign


def claims(**over: Any) -> Twist:
    return lambda provider: setattr(provider, "claims", over)


def at(**offsets: int) -> Twist:
    """Times so many seconds from now."""

    def twist(provider: Provider) -> None:
        now = int(provider.clock.now().timestamp())
        provider.claims = {name: now + offset for name, offset in offsets.items()}

    return twist


def header(**over: Any) -> Twist:
    return lambda provider: setattr(provider, "header", over)


def info(**over: Any) -> Twist:
    return lambda provider: setattr(provider, "info", over)


def token(**over: Any) -> Twist:
    return lambda provider: setattr(provider, "token", over)


def says(**over: Any) -> Twist:
    return lambda provider: setattr(provider, "discovery", over)


def answers(name: str, status: int, body: bytes = b"", **headers: str) -> Twist:
    answer: Answer = (status, {key.replace("_", "-"): value for key, value in headers.items()}, body)
    return lambda provider: provider.answers.update({name: answer})


def keys(*made: RSAKey | ECKey) -> Twist:
    return lambda provider: setattr(provider, "keys", [*made] if made else provider.keys)


def another_key(provider: Provider) -> None:
    provider.keys = [*provider.keys, RSAKey.generate_key(2048, {"kid": "k2"})]


def unnamed_among_several(provider: Provider) -> None:
    another_key(provider)
    provider.header = {"kid": None}


def rotate_before_signing(provider: Provider) -> None:
    provider.before_signing = lambda: setattr(provider, "keys", [ECKey.generate_key("P-256", {"kid": "k9"})])


def both(*twists: Twist) -> Twist:
    def twist(provider: Provider) -> None:
        for one in twists:
            one(provider)

    return twist


def nothing(_: Provider) -> None:
    """The rules are kept."""


@dataclass(frozen=True)
class Case:
    """One lie, and the reason with which it is refused; none: it is no lie."""

    twist: Twist
    reason: str = ""
    over: dict[str, Any] = field(default_factory=dict)
    """What the browser brings back instead."""
    settings: dict[str, Any] = field(default_factory=dict)


SUITE: dict[str, Case] = {
    # Basic
    "oidcc-client-test": Case(nothing),
    "oidcc-client-test-client-secret-basic": Case(nothing, settings={"client_auth": "client_secret_basic"}),
    "oidcc-client-test-client-secret-post": Case(nothing, settings={"client_auth": "client_secret_post"}),
    "oidcc-client-test-idtoken-sig-rs256": Case(nothing),
    "oidcc-client-test-idtoken-sig-es256": Case(keys(ECKey.generate_key("P-256", {"kid": "e"}))),
    "oidcc-client-test-idtoken-sig-none": Case(signs(unsigned), "token-algorithm"),
    "oidcc-client-test-invalid-sig-rs256": Case(change_after_signing, "token-signature"),
    "oidcc-client-test-invalid-sig-hs256": Case(with_public_key, "token-algorithm"),
    "oidcc-client-test-invalid-sig-es256": Case(signs(other_curve), "token-key-unknown"),
    "oidcc-client-test-invalid-iss": Case(claims(iss="https://evil.example"), "token-issuer"),
    "oidcc-client-test-invalid-aud": Case(claims(aud="somebody-else"), "token-audience"),
    "oidcc-client-test-missing-aud": Case(claims(aud=None), "token-audience"),
    "oidcc-client-test-missing-iat": Case(claims(iat=None), "token-time"),
    "oidcc-client-test-missing-sub": Case(claims(sub=None), "token-subject"),
    "oidcc-client-test-nonce-invalid": Case(claims(nonce="other"), "token-nonce"),
    "oidcc-client-test-kid-absent-single-jwks": Case(header(kid=None)),
    "oidcc-client-test-kid-absent-multiple-jwks": Case(unnamed_among_several, "token-key-ambiguous"),
    "oidcc-client-test-userinfo-bearer-header": Case(nothing, settings={"allowed_groups": ("dev",)}),
    "oidcc-client-test-userinfo-invalid-sub": Case(info(sub="s2"), "userinfo-subject"),
    "oidcc-client-test-scope-userinfo-claims": Case(nothing, settings={"allowed_domains": ("example.com",)}),
    # Configuration
    "oidcc-client-test-discovery-openid-config": Case(nothing),
    "oidcc-client-test-discovery-issuer-mismatch": Case(says(issuer="https://evil.example"), "issuer-mismatch"),
    "oidcc-client-test-discovery-jwks-uri-keys": Case(another_key),
    "oidcc-client-test-signing-key-rotation": Case(rotate_before_signing),
    "oidcc-client-test-signing-key-rotation-just-before-signing": Case(rotate_before_signing),
}
"""Cases of its basic and configuration plans, by their names."""

WITHOUT: dict[str, str] = {
    **dict.fromkeys(
        ("oidcc-client-test-refresh-token", "oidcc-client-test-refresh-token-invalid-issuer",
         "oidcc-client-test-refresh-token-invalid-sub"), "no token is kept, so none is refreshed",
    ),
    **dict.fromkeys(
        ("oidcc-client-test-rp-init-logout", "oidcc-client-test-rp-init-logout-invalid-state",
         "oidcc-client-test-rp-init-logout-no-state"), "nobody is logged in at the gateway, so nobody is logged out",
    ),
    **dict.fromkeys(
        ("oidcc-client-test-rp-backchannel-rpinitlogout", "oidcc-client-test-rp-backchannel-rpinitlogout-alg-none",
         "oidcc-client-test-rp-backchannel-rpinitlogout-no-event",
         "oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce",
         "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg",
         "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud",
         "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event",
         "oidcc-client-test-rp-backchannel-rpinitlogout-wrong-issuer"), "there is no such endpoint yet",
    ),
    "oidcc-client-test-userinfo-bearer-body": "user info is asked with the header, which every provider must take",
}  # fmt: skip
"""Cases of its other plans, and why there is nothing to lie to."""

MEGABYTES = b" " * 10_000_000

OURS: dict[str, Case] = {
    # the token's form
    "alg none even when the provider lists it": Case(
        both(signs(unsigned), says(id_token_signing_alg_values_supported=["none", "RS256"])), "token-algorithm"
    ),
    "key and address of keys in the header": Case(signs(own_key), "token-signature"),
    "signed by a stranger with the provider's kid": Case(signs(stolen_kid), "token-signature"),
    "one bit of the signature": Case(padded, "token-signature"),
    "a kid that nobody has": Case(header(kid="k0"), "token-key-unknown"),
    "a kid that is a number": Case(
        signs(lambda head, body: unsigned({**head, "kid": 1}, body, "RS256")), "token-malformed"
    ),
    "an unknown critical extension": Case(signs(critical), "token-critical"),
    "a logout token": Case(header(typ="logout+jwt"), "token-type"),
    "no ID token": Case(token(id_token=None), "token-missing"),
    "a token that is no bearer": Case(token(token_type="mac"), "token-missing"),
    "garbage for a token": Case(token(id_token="a.b.c"), "token-malformed"),
    "a header that is no base64": Case(signs(not_base64), "token-malformed"),
    "a token in five parts": Case(token(id_token="a.b.c.d.e"), "token-malformed"),
    "a token of megabytes": Case(token(id_token="a" * 70_000 + ".b.c"), "token-malformed"),
    "a weak key": Case(keys(RSAKey.generate_key(1024, {"kid": "k1"})), "token-key-weak"),
    # what it says
    "an empty list of audiences": Case(claims(aud=[]), "token-audience"),
    "several audiences without authorised party": Case(claims(aud=[CLIENT_ID, "other"]), "token-party"),
    "several audiences, and we are authorised": Case(claims(aud=[CLIENT_ID, "other"], azp=CLIENT_ID)),
    "another authorised party": Case(claims(azp="other"), "token-party"),
    "the issuer with a slash more": Case(lambda one: setattr(one, "claims", {"iss": one.issuer + "/"}), "token-issuer"),
    "no nonce": Case(claims(nonce=None), "token-nonce"),
    "an empty subject": Case(claims(sub=""), "token-subject"),
    "a subject that is a number": Case(claims(sub=7), "token-subject"),
    "a subject that is too long": Case(claims(sub="s" * 256), "token-subject"),
    "the hash of another access token": Case(claims(at_hash="AAAA"), "token-hash"),
    "a hash that is no text": Case(claims(at_hash=7), "token-hash"),
    # time
    "no end": Case(claims(exp=None), "token-time"),
    "an end that is text": Case(claims(exp="tomorrow"), "token-time"),
    "an end beyond all time": Case(claims(exp=10**17), "token-time"),
    "ended 61 seconds ago": Case(at(exp=-61), "token-expired"),
    "ended 59 seconds ago": Case(at(exp=-59, iat=-200)),
    "issued 61 seconds from now": Case(at(iat=61), "token-future"),
    "issued 59 seconds from now": Case(at(iat=59, nbf=59)),
    "not valid for 61 seconds": Case(at(nbf=61), "token-future"),
    "issued eleven minutes ago": Case(at(iat=-661), "token-old"),
    "signed in at the provider too long ago": Case(
        at(auth_time=-361), "token-login-old", settings={"extra_params": {"max_age": "300"}}
    ),
    "not said when signed in at the provider": Case(
        nothing, "token-login-old", settings={"extra_params": {"max_age": "300"}}
    ),
    "signed in at the provider lately": Case(at(auth_time=-359), settings={"extra_params": {"max_age": "300"}}),
    # user info
    "user info without subject": Case(info(sub=None), "userinfo-subject"),
    "user info that is a page": Case(answers("userinfo", 200, b"<html>"), "userinfo-malformed"),
    "groups that are objects": Case(info(groups=[{"name": "dev"}]), settings={"allowed_groups": ("dev",)}),
    "groups that are objects, none of which is allowed": Case(
        info(groups=[{"name": "dev"}]), "group-not-allowed", settings={"allowed_groups": ("admins",)}
    ),
    "groups that are null": Case(info(groups=None)),
    "groups that are one text": Case(info(groups="dev"), settings={"allowed_groups": ("dev",)}),
    "a group of the wrong case": Case(info(groups=["Dev"]), "group-not-allowed", settings={"allowed_groups": ("dev",)}),
    "more groups than are kept, the allowed one last": Case(
        info(groups=[*(f"g{n}" for n in range(1001)), "z"]), settings={"allowed_groups": ("z",)}
    ),
    "more groups than are kept, none of which is allowed": Case(
        info(groups=[f"g{n}" for n in range(1001)]), "group-not-allowed", settings={"allowed_groups": ("z",)}
    ),
    # endpoints
    "a token answer of 11 MB": Case(answers("token", 200, b"x" * 11_000_000), "answer-too-large"),
    "a token endpoint that redirects": Case(answers("token", 302, location="https://evil.example"), "redirected"),
    "a token endpoint that shows a page": Case(answers("token", 500, b"<html>"), "token-endpoint"),
    "keys that are a page": Case(answers("jwks", 200, b"<html>"), "jwks-unusable"),
    "no keys": Case(lambda one: setattr(one, "published", []), "jwks-unusable"),
    "a private key for a key": Case(
        lambda one: setattr(one, "published", [one.keys[0].as_dict(private=True)]), "jwks-unusable"
    ),
    "shared keys for keys": Case(
        lambda one: setattr(one, "published", [{"kty": "oct", "k": "AAAA", "kid": "k1"}]), "jwks-unusable"
    ),
    # the description
    "another application's issuer": Case(says(issuer="https://evil.example" + APP), "issuer-mismatch"),
    "no issuer": Case(says(issuer=None), "discovery-incomplete"),
    "no token endpoint": Case(says(token_endpoint=None), "discovery-incomplete"),
    "a token endpoint over http": Case(says(token_endpoint="http://192.0.2.1/token"), "endpoint-insecure"),
    "keys in a file": Case(says(jwks_uri="file:///etc/passwd"), "endpoint-insecure"),
    "an endpoint with a password in it": Case(says(token_endpoint="https://a:b@idp.example/"), "endpoint-insecure"),
    "no code flow": Case(says(response_types_supported=["id_token"]), "discovery-unsuitable"),
    "plain PKCE only": Case(says(code_challenge_methods_supported=["plain"]), "discovery-unsuitable"),
    "no signature that counts": Case(
        says(id_token_signing_alg_values_supported=["none", "HS256"]), "discovery-unsuitable"
    ),
    "a page for a description": Case(answers("openid-configuration", 200, b"<html>sign in"), "discovery-not-json"),
    "a list for a description": Case(answers("openid-configuration", 200, b"[]"), "discovery-not-json"),
    "no description": Case(answers("openid-configuration", 404), "discovery-status"),
    "a description that redirects": Case(answers("openid-configuration", 302, location="/x"), "redirected"),
    "a description of 10 MB": Case(answers("openid-configuration", 200, MEGABYTES), "answer-too-large"),
    "a description that is compressed": Case(
        answers("openid-configuration", 200, b"x", content_encoding="gzip"), "answer-too-large"
    ),
    # the answer to the browser
    "an answer of another issuer": Case(nothing, "response-issuer", {"iss": "https://evil.example"}),
    "an answer without the issuer that was promised": Case(nothing, "response-issuer", {"iss": None}),
    "an answer without issuer, and none was promised": Case(
        says(authorization_response_iss_parameter_supported=None), over={"iss": None}
    ),
    "no code": Case(nothing, "response-incomplete", {"code": None}),
    "a code that was guessed": Case(nothing, "code-refused", {"code": "guessed"}),
    "an error of the provider": Case(nothing, "provider-error", {"code": None, "error": "server_error"}),
    "an error of another issuer": Case(
        nothing, "response-issuer", {"code": None, "error": "access_denied", "iss": "https://evil.example"}
    ),
}

ELSEWHERE: dict[str, Any] = {
    "a denied person": test_way_in.test_a_denial_is_final_and_told_to_the_device,
    "callback twice": test_way_in.test_reload_and_back_change_nothing,
    "callback twice at once": test_way_in.test_the_same_answer_at_once_is_redeemed_once,
    "two tabs": test_way_in.test_two_tabs_do_not_disturb_each_other,
    "state forged or foreign": test_foreign_browsers.test_a_state_from_another_browser_or_a_forged_one_finds_nothing,
    "state expired": test_foreign_browsers.test_an_expired_sign_in_is_gone,
    "code of another browser": test_foreign_browsers.test_a_code_of_another_browser_is_worthless,
    "a login approved for another device": test_way_in.test_a_login_that_was_replaced_cannot_be_confirmed,
    "prefetch": test_pages.test_a_browser_that_looks_ahead_does_not_spend_the_code,
    "mix-up": test_providers.test_an_answer_at_the_redirect_url_of_another_provider_is_not_redeemed,
    "truth lent by another document": test_entry.test_an_address_cannot_borrow_its_truth_from_the_other_document,
    "signed user info": test_dialects.test_user_info_may_be_a_signed_token_and_is_proven_as_one,
    "logins without end": test_providers.test_a_flood_of_logins_is_slowed_and_displaces_only_its_own,
    "nothing in the log": test_foreign_browsers.test_no_secret_reaches_the_log,
}
"""Cases that need more than one provider's lie, and the test of each."""


async def outcome(lab: Lab, case: Case) -> tuple[str, bool]:
    """The reason with which a case is refused, and whether that was final."""
    case.twist(lab.provider)
    await lab.begin(only_start_if_oidc_is_available=False, **case.settings)
    try:
        _, shown = await lab.come_back(**case.over)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        return (error.details() or "").partition(":")[0], False
    assert (shown.state == pb.SIGN_IN_STATE_CONFIRMING) == (not shown.reason) and bool(shown.text) == bool(shown.reason)
    return shown.reason, shown.final


@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize("name", [*SUITE, *OURS])
async def test_each_lie_has_its_reason_and_each_truth_is_taken(lab: Lab, name: str) -> None:
    case = {**SUITE, **OURS}[name]
    reason, final = await outcome(lab, case)
    assert reason == case.reason
    assert bool(lab.tailnet.registry.sign_ins) == (not reason)
    assert not lab.tailnet.registry.nodes and final == (reason == "group-not-allowed")


def test_what_the_suite_also_has_is_told_apart() -> None:
    assert not set(SUITE) & set(WITHOUT) and all(WITHOUT.values()) and all(map(callable, ELSEWHERE.values()))


async def test_no_refresh_token_is_asked_for_or_kept(lab: Lab) -> None:
    lab.provider.token = {"refresh_token": "r3fresh"}
    await lab.begin()
    started, _ = await lab.come_back()
    assert "offline_access" not in started.authorization_url
    stored = b"".join(path.read_bytes() for path in lab.folder.glob("db.sqlite*"))
    assert b"r3fresh" not in stored


async def test_a_bare_issuer_is_not_pinned_when_one_endpoint_lies_elsewhere(lab: Lab) -> None:
    lab.provider.issuer = lab.provider.origin
    lab.provider.discovery = {"jwks_uri": lab.provider.origin + "/jwks"}
    assert await outcome(lab, Case(nothing)) == ("issuer-mismatch", False)
