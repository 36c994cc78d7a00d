"""Signs a person in for the examination only, by the device grant (RFC 8628). Stores no token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from services.auth.doctor.report import DoctorReport
from services.auth.idp.client_auth import ClientCredentials, authenticate
from services.auth.idp.http import ProviderHttp
from services.auth.model.oidc.discovery import Metadata, is_secure
from services.auth.model.oidc.id_token import open_signed
from services.auth.model.oidc.keys import read_keys
from services.auth.model.oidc.refusal import SignInError

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LONGEST = 600.0
"""Seconds that a person has to enter the code."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The tokens of the person."""

    access_token: str = field(repr=False)
    id_claims: Mapping[str, Any] | None = None
    """Claims of the ID token if its signature is valid; else None."""


async def sign_in_by_code(
    report: DoctorReport,
    credentials: ClientCredentials,
    metadata: Metadata,
    http: ProviderHttp,
    scope: tuple[str, ...],
    now: datetime,
    prompt: Callable[[str], None],
) -> SignedIn | None:
    """Prompt for the code and wait for it. Returns None if the sign-in failed."""
    endpoint = report.facts.get("discovery", {}).get("device_authorization_endpoint", "")
    if not isinstance(endpoint, str) or not endpoint or not is_secure(endpoint):
        report.skip("login", "the provider has no device grant; get an access token there and use --token")
        return None
    try:
        headers, proof = authenticate(credentials, metadata, now)
        begun = _object((await http.post(endpoint, {"scope": " ".join(scope), **proof}, headers)).body)
        code, where = begun.get("device_code"), begun.get("verification_uri_complete") or begun.get("verification_uri")
        if not isinstance(code, str) or not isinstance(where, str):
            refusal = str(begun.get("error", "something else"))[:64]
            cause, remedy = (
                f"the provider answers {refusal!r}",
                "allow the device grant for the application, or use --token",
            )
            report.warn("login", "sign-in by a code is not possible", cause, remedy)
            return None
        prompt(f"open {where[:2048]} and enter {str(begun.get('user_code', ''))[:64]}")
        form = {"grant_type": _GRANT, "device_code": code, **proof}
        got = await _wait(http, metadata.token_endpoint, form, headers, begun)
    except SignInError as error:
        report.refusal("login", error, "use --token instead")
        return None
    token = got.get("access_token")
    if not isinstance(token, str):
        refusal = str(got.get("error", "no token"))[:64]
        report.warn(
            "login",
            f"sign-in by a code ended with {refusal!r}",
            "the code was not entered, or access was denied",
            "try again",
        )
        return None
    report.ok("login", "the person signed in; the token was used for these checks and not stored")
    return SignedIn(token, await _open(report, got.get("id_token"), metadata, http))


async def _wait(
    http: ProviderHttp, endpoint: str, form: Mapping[str, str], headers: Mapping[str, str], begun: Mapping[str, Any]
) -> dict[str, Any]:
    pause = _number(begun.get("interval"), 5.0)
    loop = asyncio.get_running_loop()
    until = loop.time() + min(LONGEST, _number(begun.get("expires_in"), LONGEST))
    while loop.time() < until:
        await asyncio.sleep(pause)
        got = _object((await http.post(endpoint, form, headers)).body)
        match got.get("error"):
            case "authorization_pending":
                continue
            case "slow_down":
                pause += 5
            case _:
                return got
    return {"error": "expired_token"}


async def _open(
    report: DoctorReport, unverified: Any, metadata: Metadata, http: ProviderHttp
) -> Mapping[str, Any] | None:
    if not isinstance(unverified, str):
        report.warn("id-token", "there is no ID token", "openid was not asked for", "add openid to oidc.scope")
        return None
    try:
        keys = read_keys(_object((await http.get(metadata.jwks_uri)).body))
        claims = open_signed(unverified, keys, metadata.algorithms)
    except SignInError as error:
        report.fail("id-token", str(error), error.reason.value, "ask the provider")
        return None
    report.ok("id-token", "its signature is valid")
    return claims


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _number(value: Any, default: float) -> float:
    return max(0.01, float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else default
