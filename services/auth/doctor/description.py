"""Examines the provider's metadata and keys: whether they are found, valid, and sufficient for a sign-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from services.auth.doctor.report import DoctorReport
from services.auth.idp.http import ProviderHttp, ProviderResponse
from services.auth.model.oidc.discovery import MAX_URL, WELL_KNOWN, Metadata, effective_issuer, origin_of, read_metadata
from services.auth.model.oidc.keys import MIN_RSA_BITS, read_keys
from services.auth.model.oidc.refusal import RefusalReason, SignInError
from services.shared.config.login import ProviderConfig

TOLD = (
    "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint",
    "revocation_endpoint", "introspection_endpoint", "device_authorization_endpoint", "registration_endpoint",
    "scopes_supported", "claims_supported", "response_types_supported", "response_modes_supported",
    "grant_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported", "code_challenge_methods_supported", "prompt_values_supported",
    "acr_values_supported", "authorization_response_iss_parameter_supported", "backchannel_logout_supported",
    "backchannel_logout_session_supported", "frontchannel_logout_supported", "request_uri_parameter_supported",
)  # fmt: skip
"""Members of the metadata that a report includes."""


async def examine_description(
    report: DoctorReport, config: ProviderConfig, http: ProviderHttp, now: datetime
) -> Metadata | None:
    """Fetch and check the metadata. Returns None if further checks are impossible."""
    effective = effective_issuer(config.issuer, config.app_id)
    url = effective + WELL_KNOWN
    try:
        document, answer = await _fetch(http, url)
    except SignInError as error:
        found = await _try_client_id(config, http, error)
        if found:
            remedy = f'write this into the configuration: {report.subject}.issuer: "{found}"'
            report.fail("discovery", str(error), "oidc.issuer lacks the path with the App ID", remedy)
        elif error.reason is RefusalReason.REDIRECTED:
            target = (await http.get(url, redirects=True)).location[:MAX_URL]
            remedy = f"if that is the provider's own address, write it into {report.subject}.issuer"
            report.fail("discovery", f"{url} redirects to {target}", "redirects are not followed", remedy)
        else:
            report.refusal("discovery", error, "check the address")
        report.skip("discovery", f"to repeat it: curl -i {url}")
        return None
    report.ok("discovery", f"it answers: curl {url}")
    report.facts["discovery"] = {name: document[name] for name in TOLD if name in document}
    _examine_clock(report, config, answer, now)
    try:
        metadata = read_metadata(config.issuer.strip(), effective, document)
    except SignInError as error:
        stated = document.get("issuer")
        if error.reason is RefusalReason.ISSUER_MISMATCH:
            cause, _ = "tokens of this provider would have another issuer than the configured one", ""
            same_host = isinstance(stated, str) and origin_of(stated) == origin_of(effective)
            remedy = (
                f'if that is your provider: {report.subject}.issuer: "{stated}"'
                if same_host
                else f"the metadata at {origin_of(effective)} is for another host; check oidc.issuer and the provider"
            )
            report.fail("issuer", str(error), cause, remedy)
        else:
            report.refusal("description", error, "ask the provider")
        return None
    _examine_issuer(report, config, metadata, effective)
    _examine_offers(report, config, metadata, document)
    return metadata


async def examine_keys(report: DoctorReport, metadata: Metadata, http: ProviderHttp) -> None:
    """Fetch the keys and check whether they can verify a token."""
    try:
        document, _ = await _fetch(http, metadata.jwks_uri, RefusalReason.JWKS_UNUSABLE)
        keys = read_keys(document)
    except SignInError as error:
        report.refusal("keys", error, "ask the provider")
        return
    stated = [f"{key.kind} {key.curve or key.bits} {key.kid or '(no kid)'}" for key in keys.keys]
    report.facts["keys"] = stated
    good = [key for key in keys.keys if key.kind != "RSA" or key.bits >= MIN_RSA_BITS]
    fitting = [key for key in good if any(key.fits(alg) for alg in metadata.algorithms)]
    if not good:
        text = f"every RSA key has fewer than {MIN_RSA_BITS} bits"
        report.fail("keys", text, "such keys can be broken", "let the provider make a key of 2048 bits or more")
    elif not fitting:
        text = f"no key fits {', '.join(metadata.algorithms)}"
        report.fail("keys", text, "metadata and keys disagree", "ask the provider")
    elif len(keys.keys) > 1 and any(not key.kid for key in keys.keys):
        text = "several keys, and not all have an id"
        report.warn("keys", text, "a token without a key id is refused", "let the provider give its keys ids (kid)")
    else:
        report.ok("keys", f"{len(keys.keys)} usable: {', '.join(stated)}")


async def _fetch(
    http: ProviderHttp, url: str, unfit: RefusalReason = RefusalReason.DISCOVERY_STATUS
) -> tuple[dict[str, Any], ProviderResponse]:
    answer = await http.get(url)
    if answer.status != 200:
        raise SignInError(unfit, f"{url} answers with {answer.status}")
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        kind = answer.content_type or "something"
        reason = RefusalReason.DISCOVERY_NOT_JSON if unfit is RefusalReason.DISCOVERY_STATUS else unfit
        raise SignInError(reason, f"{url} answers with {kind} that is not a JSON object")
    return document, answer


async def _try_client_id(config: ProviderConfig, http: ProviderHttp, error: SignInError) -> str:
    """Return the issuer with the client id as App ID if metadata are there; only below the same origin."""
    parts = urlsplit(effective_issuer(config.issuer, ""))
    wrong = (RefusalReason.DISCOVERY_STATUS, RefusalReason.DISCOVERY_NOT_JSON, RefusalReason.REDIRECTED)
    if parts.path or error.reason not in wrong or not config.client_id.replace("-", "").isalnum():
        return ""
    candidate = replace(config, app_id=config.client_id)
    effective = effective_issuer(candidate.issuer, candidate.app_id)
    try:
        document, _ = await _fetch(http, effective + WELL_KNOWN)
        read_metadata(candidate.issuer.strip(), effective, document)
    except SignInError:
        return ""
    return effective


def _examine_clock(report: DoctorReport, config: ProviderConfig, answer: ProviderResponse, now: datetime) -> None:
    try:
        there = parsedate_to_datetime(answer.date)
    except (TypeError, ValueError):
        report.skip("clock", "the provider sends no time")
        return
    skew = abs((now - there).total_seconds())
    report.facts["clock_skew_seconds"] = round(skew)
    leeway = config.clock_leeway.total_seconds()
    text = f"its clock and ours differ by {skew:.0f} s; up to {leeway:.0f} s are accepted"
    if skew > leeway:
        report.fail("clock", text, "tokens would appear expired or not yet valid", "set both clocks by NTP")
    elif skew > leeway / 2:
        report.warn("clock", text, "it is near the limit", "set both clocks by NTP")
    else:
        report.ok("clock", text)


def _examine_issuer(report: DoctorReport, config: ProviderConfig, metadata: Metadata, effective: str) -> None:
    report.facts["issuer"] = {"configured": config.issuer, "fetched": effective, "accepted": metadata.issuer}
    if metadata.pinned:
        report.warn(
            "issuer", f"the provider's issuer is {metadata.issuer}, its address {effective}",
            "its pages and its software disagree; accepted, because every endpoint is below that address",
            "nothing, or ask the provider to use its full address as issuer",
        )  # fmt: skip
    else:
        report.ok("issuer", f"the provider's issuer is {metadata.issuer}, as configured")


def _examine_offers(
    report: DoctorReport, config: ProviderConfig, metadata: Metadata, document: Mapping[str, Any]
) -> None:
    report.ok("algorithms", f"signs with {', '.join(metadata.algorithms)}")
    if document.get("code_challenge_methods_supported"):
        report.ok("pkce", "PKCE with S256 is offered")
    else:
        report.ok("pkce", "PKCE is not declared; it is sent, and ignored by providers without it")
    here = origin_of(effective_issuer(config.issuer, config.app_id))
    endpoints = (
        metadata.authorization_endpoint,
        metadata.token_endpoint,
        metadata.jwks_uri,
        metadata.userinfo_endpoint,
    )
    elsewhere = sorted({origin_of(url) for url in endpoints if url} - {here})
    if elsewhere:
        text = f"some endpoints are at {', '.join(elsewhere)}"
        report.warn(
            "endpoints",
            text,
            "another host than the issuer's",
            "normal for Google and a few others; else ask the provider",
        )
    else:
        report.ok("endpoints", "all at the issuer's own host")
    if not metadata.userinfo_endpoint:
        report.warn(
            "userinfo", "the provider has no user info", "address and groups must be in the ID token",
            "ask the provider to put them there",
        )  # fmt: skip
    unknown = [scope for scope in config.scope if metadata.scopes and scope not in metadata.scopes]
    if unknown:
        report.warn(
            "scopes", f"the provider does not list {', '.join(unknown)}",
            "if it refuses them, a sign-in retries without; their claims would be missing",
            "allow them for the application, or remove them from oidc.scope",
        )  # fmt: skip
    else:
        report.ok("scopes", f"requests {' '.join(config.scope)}")
