"""Examines client id and secret: their form, and what the token endpoint answers to an invalid code."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime

import orjson

from services.auth.doctor.report import DoctorReport
from services.auth.idp.client_auth import (
    METHODS,
    ClientCredentials,
    UnusableSecretError,
    authenticate,
    method_of,
    methods_of,
)
from services.auth.idp.http import ProviderHttp
from services.auth.model.oidc.discovery import Metadata
from services.auth.model.oidc.refusal import SignInError

_PLACEHOLDERS = ("xxxxxx", "secret-xxx", "changeme", "change-me", "your-", "<", "[")
_COPY = "copy it again from the provider's page; look for spaces and hidden characters"


def examine_form(report: DoctorReport, credentials: ClientCredentials) -> bool:
    """Check the form of id and secret. Returns whether they may be sent to the provider."""
    client_id = credentials.client_id
    if client_id != client_id.strip() or not client_id.isascii() or not client_id.isprintable():
        text = "the client id has a blank or a hidden character"
        report.fail("client-id", text, "it was copied with surrounding characters", _COPY)
        return False
    if any(mark in client_id.lower() for mark in _PLACEHOLDERS):
        report.fail("client-id", f"{client_id!r} is the sample of a guide", "it was not replaced", _COPY)
        return False
    if credentials.key_path is not None and not credentials.secret and credentials.secret_path is None:
        report.ok("client-secret", "a key is used in place of a secret")
        return True
    try:
        secret = credentials.current_secret()
    except UnusableSecretError as error:
        report.fail("client-secret", str(error), "it was copied incompletely or with surrounding characters", _COPY)
        return False
    if any(mark in secret.lower() for mark in _PLACEHOLDERS):
        report.fail("client-secret", "the secret is the sample of a guide", "it was not replaced", _COPY)
        return False
    report.ok("client-secret", "its form is right: no blanks, quotes or hidden characters")
    return True


async def examine_proof(
    report: DoctorReport,
    credentials: ClientCredentials,
    metadata: Metadata,
    http: ProviderHttp,
    redirect_uri: str,
    now: datetime,
) -> None:
    """Send the secret with an invalid code: a provider that accepts the secret refuses only the code."""
    method = method_of(credentials, metadata)
    report.facts["token_auth"] = {"used": method, "offered": list(metadata.auth_methods)}
    answered = await _probe(credentials, metadata, http, redirect_uri, now)
    if answered == "invalid_grant":
        report.ok("credentials", f"the provider knows client id and secret ({method})")
    elif answered in ("invalid_client", "unauthorized_client"):
        await _try_others(report, credentials, metadata, http, redirect_uri, now)
    elif answered.startswith("!"):
        report.fail("credentials", answered[1:], "no request was sent", "correct that first")
    else:
        text = f"the token endpoint answers {answered!r} to an invalid code"
        cause = "it does not show whether client id and secret are right"
        report.warn("credentials", text, cause, "sign in once and read the reason on the page")


async def _try_others(
    report: DoctorReport,
    credentials: ClientCredentials,
    metadata: Metadata,
    http: ProviderHttp,
    redirect_uri: str,
    now: datetime,
) -> None:
    used = method_of(credentials, metadata)
    text = f"the provider does not accept client id and secret ({used})"
    for other in METHODS[:2]:
        if other == used or credentials.key_path is not None:
            continue
        answered = await _probe(replace(credentials, method=other), metadata, http, redirect_uri, now)
        if answered == "invalid_grant":
            remedy = f"write {report.subject}.client_auth: {other}"
            if other in methods_of(credentials, metadata):
                text = f"the provider accepts client id and secret as {other} only, and does not declare it"
                report.warn("credentials", text, f"{used} is tried first, {other} after it", remedy)
            else:
                report.fail("credentials", text, f"it accepts them as {other} only", remedy)
            return
    report.fail("credentials", text, "one of them is wrong, or belongs to another application", _COPY)


async def _probe(
    credentials: ClientCredentials, metadata: Metadata, http: ProviderHttp, redirect_uri: str, now: datetime
) -> str:
    """Return the OAuth error of the provider, or "!" and the reason why no request was sent."""
    form = {
        "grant_type": "authorization_code",
        "code": "doctor-" + secrets.token_urlsafe(16),
        "redirect_uri": redirect_uri,
        "code_verifier": secrets.token_urlsafe(32),
    }
    try:
        headers, proof = authenticate(credentials, metadata, now)
        answer = await http.post(metadata.token_endpoint, {**form, **proof}, headers)
    except SignInError as error:
        return f"!{error}"
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        document = None
    answered = document.get("error") if isinstance(document, dict) else None
    if isinstance(answered, str) and answered:
        return answered[:64]
    return "invalid_client" if answer.status == 401 else str(answer.status)
