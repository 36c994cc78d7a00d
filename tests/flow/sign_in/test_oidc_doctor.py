"""`headscale oidc doctor`: each trouble of a sign-in is found, with cause and remedy, and nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, RSAKey

from services.auth.doctor import DoctorReport, Finding, Level, examine
from services.auth.doctor.certificates import examine_way
from services.auth.provider_config import credentials_of, settings_of
from services.shared.config.login import OidcClaimsConfig, ProviderConfig
from services.shared.runtime.clock import SystemClock
from tests.fakes.certificates import issue, shown_on_loopback
from tests.fakes.provider import APP, CLIENT_ID, SECRET, Provider, provider_on_loopback

URL = "https://control.example.com"
CALLBACK = URL + "/oidc/callback"
PAGE = (200, {"content-type": "text/html"}, b"<html>sign in</html>")


@dataclass
class Patient:
    """A provider, and the configuration that should fit it."""

    provider: Provider
    config: ProviderConfig = field(init=False)

    def __post_init__(self) -> None:
        self.config = ProviderConfig(issuer=self.provider.issuer, client_id=CLIENT_ID, client_secret=SECRET)

    async def findings(self, token: str = "", now: datetime | None = None, **settings: Any) -> dict[str, Finding]:
        """What the doctor says, by check; the worst where a check speaks twice."""
        return {one.check: one for one in sorted((await self.report(token, now, **settings)).findings, key=_badness)}

    async def report(self, token: str = "", now: datetime | None = None, **settings: Any) -> DoctorReport:
        """The whole examination."""
        config = replace(self.config, **settings)
        report = DoctorReport("oidc")
        credentials = credentials_of(config)
        await examine(report, config, credentials, settings_of(URL, "", config), now or datetime.now(UTC), token)
        return report


def _badness(finding: Finding) -> int:
    return [Level.SKIP, Level.OK, Level.WARN, Level.FAIL].index(finding.level)


@pytest.fixture
async def patient() -> AsyncIterator[Patient]:
    async with provider_on_loopback(SystemClock()) as provider:
        provider.redirects = {CALLBACK}
        yield Patient(provider)


async def test_a_provider_that_is_well_passes_every_check(patient: Patient) -> None:
    report = await patient.report()
    assert {one.level for one in report.findings} <= {Level.OK, Level.SKIP} and not report.failed
    checks = {one.check for one in report.findings if one.level is Level.OK}
    assert checks >= {
        "dns", "tcp", "tls", "discovery", "clock", "issuer", "algorithms", "pkce", "endpoints", "scopes", "keys",
        "client-secret", "credentials", "redirect-url",
    }  # fmt: skip


async def test_the_examination_signs_nobody_in_and_spends_nothing(patient: Patient) -> None:
    await patient.report()
    assert not patient.provider.codes
    assert not any(path.endswith("/userinfo") for path in patient.provider.requests)
    assert sum(path.endswith("/token") for path in patient.provider.requests) == 1


# "OIDC authentication failed": what is wrong at the provider, the check that finds it, and a word of its remedy

PROVIDER_TROUBLES: dict[str, tuple[dict[str, Any], str, Level, str]] = {
    "wrong app id": ({"answers": {"openid-configuration": (404, {}, b"")}}, "discovery", Level.FAIL, "App ID"),
    "a web page for a description": ({"answers": {"openid-configuration": PAGE}}, "discovery", Level.FAIL, "App ID"),
    "a redirect": (
        {"answers": {"openid-configuration": (302, {"location": "/x"}, b"")}},
        "discovery",
        Level.FAIL,
        "own address",
    ),
    "a list for a description": (
        {"answers": {"openid-configuration": (200, {}, b"[]")}},
        "discovery",
        Level.FAIL,
        "App ID",
    ),
    "another host's issuer": ({"discovery": {"issuer": "https://evil.example"}}, "issuer", Level.FAIL, "another host"),
    "another application's issuer": (
        {"discovery": {"issuer": "SAME/api/oidc/other"}},
        "issuer",
        Level.FAIL,
        "api/oidc/other",
    ),
    "the issuer without its path": ({"discovery": {"issuer": "SAME"}}, "issuer", Level.WARN, "full address"),
    "no token endpoint": ({"discovery": {"token_endpoint": None}}, "description", Level.FAIL, "ask the provider"),
    "an endpoint over http": (
        {"discovery": {"token_endpoint": "http://192.0.2.1/t"}},
        "description",
        Level.FAIL,
        "https",
    ),
    "no code flow": ({"discovery": {"response_types_supported": ["id_token"]}}, "description", Level.FAIL, "code flow"),
    "plain PKCE only": (
        {"discovery": {"code_challenge_methods_supported": ["plain"]}},
        "description",
        Level.FAIL,
        "S256",
    ),
    "HS256 only": (
        {"discovery": {"id_token_signing_alg_values_supported": ["HS256"]}},
        "description",
        Level.FAIL,
        "RS256",
    ),
    "no user info": ({"discovery": {"userinfo_endpoint": None}}, "userinfo", Level.WARN, "ask the provider"),
    "an endpoint elsewhere": (
        {"discovery": {"userinfo_endpoint": "https://else.example/u"}},
        "endpoints",
        Level.WARN,
        "Google",
    ),
    "a scope it does not list": ({"discovery": {"scopes_supported": ["openid"]}}, "scopes", Level.WARN, "oidc.scope"),
    "no keys": ({"published": []}, "keys", Level.FAIL, "ask the provider"),
    "keys that are no keys": ({"answers": {"jwks": (200, {}, b"<html>")}}, "keys", Level.FAIL, "ask the provider"),
    "a key set that is not there": ({"answers": {"jwks": (404, {}, b"")}}, "keys", Level.FAIL, "ask the provider"),
    "a key that is too short": ({"keys": [RSAKey.generate_key(1024, {"kid": "k"})]}, "keys", Level.FAIL, "2048"),
    "keys of another kind": ({"keys": [ECKey.generate_key("P-384", {"kid": "k"})]}, "keys", Level.FAIL, "ask"),
    "an unknown redirect URL": ({"redirects": {URL + "/oidc/callback/"}}, "redirect-url", Level.FAIL, CALLBACK),
    "a scope it refuses": ({"scopes": {"openid"}}, "scopes-asked", Level.WARN, "oidc.scope"),
    "a broken sign-in page": ({"answers": {"authorize": (503, {}, b"")}}, "redirect-url", Level.WARN, "later"),
    "a secret that it does not know": (
        {"answers": {"token": (401, {}, b'{"error": "invalid_client"}')}},
        "credentials",
        Level.FAIL,
        "copy it again",
    ),
    "a secret shown in another way": (
        {"shown_as": "form", "discovery": {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}},
        "credentials",
        Level.FAIL,
        "client_auth: client_secret_post",
    ),
    "a secret shown in another way that nothing declares": (
        {"shown_as": "form"},
        "credentials",
        Level.WARN,
        "client_auth: client_secret_post",
    ),
    "a token endpoint in trouble": (
        {"answers": {"token": (500, {}, b"<html>")}},
        "credentials",
        Level.WARN,
        "sign in once",
    ),
}


@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize("trouble", PROVIDER_TROUBLES)
async def test_a_trouble_of_the_provider_is_found(patient: Patient, trouble: str) -> None:
    twists, check, level, remedy = PROVIDER_TROUBLES[trouble]
    for name, value in twists.items():
        if name == "discovery" and str(value.get("issuer", "")).startswith("SAME"):
            value = {"issuer": value["issuer"].replace("SAME", patient.provider.origin)}
        setattr(patient.provider, name, value)
    found = (await patient.findings())[check]
    assert found.level is level and found.cause and remedy in found.remedy


async def test_the_app_id_is_found_by_the_client_id_and_the_line_to_write_is_said(patient: Patient) -> None:
    bare = {"issuer": patient.provider.origin, "client_id": APP.rpartition("/")[2]}
    found = (await patient.findings(**bare))["discovery"]
    assert found.level is Level.FAIL and f'oidc.issuer: "{patient.provider.origin + APP}"' in found.remedy
    assert (await patient.findings(**{**bare, "client_id": "other"}))["discovery"].level is Level.FAIL


async def test_the_curl_to_try_by_hand_is_said(patient: Patient) -> None:
    patient.provider.answers = {"openid-configuration": (404, {}, b"")}
    said = [one.text for one in (await patient.report()).findings if one.level is Level.SKIP]
    assert f"to repeat it: curl -i {patient.provider.issuer}/.well-known/openid-configuration" in said


async def test_pkce_that_is_insisted_on_is_noticed(patient: Patient) -> None:
    patient.provider.pkce_required = True
    report = await patient.report()
    assert report.facts["pkce_required"] is True and not report.failed


@pytest.mark.parametrize(("seconds", "level"), [(-300, Level.FAIL), (45, Level.WARN), (0, Level.OK)])
async def test_clocks_that_differ_are_noticed(patient: Patient, seconds: int, level: Level) -> None:
    found = await patient.findings(now=datetime.now(UTC) + timedelta(seconds=seconds))
    assert found["clock"].level is level


# "Invalid client credentials"


@pytest.mark.parametrize(
    ("settings", "check"),
    [
        ({"client_secret": " " + SECRET}, "client-secret"),
        ({"client_secret": SECRET + "\n"}, "client-secret"),
        ({"client_secret": "s\u200b3cret"}, "client-secret"),
        ({"client_secret": f'"{SECRET}"'}, "client-secret"),
        ({"client_secret": "secret-xxxxxx"}, "client-secret"),
        ({"client_secret": "", "client_secret_path": Path("/none")}, "client-secret"),
        ({"client_id": "headscale-xxxxxx"}, "client-id"),
        ({"client_id": "client:1 "}, "client-id"),
        ({"client_secret": "another"}, "credentials"),
        ({"client_id": "another"}, "credentials"),
    ],
)
async def test_credentials_that_were_copied_wrongly_are_found(
    patient: Patient, settings: dict[str, Any], check: str
) -> None:
    found = (await patient.findings(**settings))[check]
    assert found.level is Level.FAIL and "hidden characters" in found.remedy
    shown = any(path.endswith("/token") for path in patient.provider.requests)
    assert shown == (check == "credentials")


async def test_a_provider_that_does_not_answer_ends_the_examination(patient: Patient) -> None:
    assert (await patient.findings(issuer="http://127.0.0.1:9/x"))["tcp"].level is Level.FAIL
    assert (await patient.findings(issuer="https://no-such-host.invalid/x"))["dns"].level is Level.FAIL
    assert (await patient.findings(issuer="http://192.0.2.1.invalid"))["dns"].level is Level.FAIL


# "Groups are not synchronized", "user is created but cannot connect"

PEOPLE: dict[str, tuple[dict[str, Any], dict[str, Any], str, Level, str]] = {
    "all is well": ({"groups": ["dev"]}, {"allowed_groups": ("dev",)}, "entry", Level.OK, ""),
    "one group as text": ({"groups": "dev"}, {"allowed_groups": ("dev",)}, "entry", Level.OK, ""),
    "no groups": ({}, {}, "groups", Level.WARN, "groups scope"),
    "groups that are objects": ({"groups": [{"name": "dev"}]}, {"allowed_groups": ("dev",)}, "entry", Level.OK, ""),
    "groups without names": ({"groups": ["a", {"id": 1}]}, {}, "claims-unused", Level.WARN, "list of names"),
    "groups that are a number": ({"groups": 7}, {}, "groups", Level.FAIL, "mapping"),
    "too many groups": ({"_claim_names": {"groups": "src1"}}, {}, "groups", Level.FAIL, "only those"),
    "another case": ({"groups": ["Dev"]}, {"allowed_groups": ("dev",)}, "groups-names", Level.WARN, "'Dev'"),
    "a slash before": ({"groups": ["/dev"]}, {"allowed_groups": ("dev",)}, "groups-names", Level.WARN, "'/dev'"),
    "a domain behind": ({"groups": ["dev@idm"]}, {"allowed_groups": ("dev",)}, "groups-names", Level.WARN, "dev@idm"),
    "another domain": ({}, {"allowed_domains": ("else.example",)}, "entry", Level.FAIL, "allowed_"),
    "no address": ({"email": None}, {}, "email", Level.WARN, "scope email"),
    "an address that nobody checked": ({"email_verified": None}, {}, "email", Level.WARN, "email_verified"),
    "the claim has another name": (
        {"roles": {"all": ["dev"]}}, {"claims": OidcClaimsConfig(groups="roles.all")}, "groups", Level.OK, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PEOPLE)
async def test_what_the_provider_says_of_a_person_is_held_against_the_rules(patient: Patient, case: str) -> None:
    claims, settings, check, level, remedy = PEOPLE[case]
    person = {"sub": "s", "email": "a@example.com", "email_verified": True, **claims}
    patient.provider.person = {name: value for name, value in person.items() if value is not None}
    report = await patient.report("t0ken", **settings)
    found = next(one for one in report.findings if one.check == check)
    assert found.level is level and remedy in found.remedy
    assert "t0ken" not in str(report)


async def test_a_token_that_is_not_taken_is_said(patient: Patient) -> None:
    patient.provider.answers = {"userinfo": (401, {}, b"")}
    assert (await patient.findings("t0ken"))["claims"].level is Level.FAIL


async def by_code(patient: Patient, **settings: Any) -> tuple[dict[str, Finding], list[str]]:
    """Sign in with a code for the examination."""
    config, report, told = replace(patient.config, **settings), DoctorReport("oidc"), list[str]()
    credentials, rules = credentials_of(config), settings_of(URL, "", config)
    await examine(report, config, credentials, rules, datetime.now(UTC), prompt=told.append)
    return {one.check: one for one in sorted(report.findings, key=_badness)}, told


async def test_a_person_may_sign_in_with_a_code_to_see_where_each_claim_is(patient: Patient) -> None:
    provider = patient.provider
    provider.discovery = {"device_authorization_endpoint": f"{provider.origin}{APP}/device"}
    provider.claims = {"groups": ["dev"]}
    provider.person = {"sub": "s", "email": "a@example.com", "email_verified": True}
    found, told = await by_code(patient, allowed_groups=("dev",))
    assert told == [f"open {provider.origin}/enter and enter ABCD-EFGH"] and provider.pending == -1
    assert "email: user info" in found["claims-where"].text and "groups: ID token" in found["claims-where"].text
    assert found["entry"].level is found["login"].level is found["id-token"].level is Level.OK


async def test_sign_in_with_a_code_tells_when_it_cannot_be(patient: Patient) -> None:
    found, told = await by_code(patient)
    assert found["login"].level is Level.SKIP and "--token" in found["login"].text and not told
    provider = patient.provider
    provider.discovery = {"device_authorization_endpoint": f"{provider.origin}{APP}/device"}
    provider.answers = {"device": (400, {}, b'{"error": "unauthorized_client"}')}
    found, told = await by_code(patient)
    assert found["login"].level is Level.WARN and "unauthorized_client" in found["login"].cause and not told
    provider.answers, provider.claims = {}, {"sub": "somebody-else"}
    assert (await by_code(patient))[0]["claims-where"].level is Level.FAIL


# "SSL/TLS error"

ROOT = issue("an authority", authority=True)
MIDDLE = issue("between", by=ROOT, authority=True)
CHAINS: dict[str, tuple[Any, tuple[Any, ...], bool, str, str]] = {
    "holds": (issue("localhost", by=MIDDLE), (MIDDLE,), True, "tls-expiry", ""),
    "ends soon": (issue("localhost", by=MIDDLE, days=5), (MIDDLE,), True, "tls-expiry", "renew it"),
    "has ended": (issue("localhost", by=MIDDLE, days=-1, age=30), (MIDDLE,), True, "tls-certificate", "renew it"),
    "has not begun": (issue("localhost", by=MIDDLE, age=-1), (MIDDLE,), True, "tls-certificate", "compare the clocks"),
    "is for another host": (issue("else.example", by=MIDDLE), (MIDDLE,), True, "tls-certificate", "for this name"),
    "lacks what is between": (issue("localhost", by=MIDDLE), (), True, "tls-certificate", "fullchain.pem"),
    "self-signed": (issue("localhost"), (), True, "tls-certificate", "oidc.ca_path"),
    "a private authority": (issue("localhost", by=MIDDLE), (MIDDLE, ROOT), False, "tls-certificate", "oidc.ca_path"),
}


@pytest.mark.parametrize("case", CHAINS)
async def test_a_certificate_that_does_not_hold_is_explained(tmp_path: Path, case: str) -> None:
    own, others, trusted, check, remedy = CHAINS[case]
    root = tmp_path / "root.pem"
    root.write_bytes(ROOT.pem())
    report = DoctorReport("oidc")
    async with shown_on_loopback(tmp_path, own, others) as port:
        url, now = f"https://localhost:{port}", datetime.now(UTC)
        good = await examine_way(report, url, root if trusted else None, now, ca_key="oidc.ca_path")
    found = next(one for one in report.findings if one.check == check)
    assert remedy in found.remedy and good == (check == "tls-expiry")
    assert (found.level is Level.OK) == (not remedy)


async def test_something_that_speaks_no_tls_is_said(patient: Patient) -> None:
    report = DoctorReport("oidc")
    url = patient.provider.origin.replace("http:", "https:")
    assert not await examine_way(report, url, None, datetime.now(UTC), ca_key="oidc.ca_path")
    assert report.findings[-1].check == "tls" and report.failed
