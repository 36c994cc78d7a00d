"""Examines the claims of a person, by an access token that they provide: address, groups, and entry rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from services.auth.doctor.report import DoctorReport
from services.auth.idp.http import ProviderHttp
from services.auth.model.oidc.claims import claim_at, kind_of
from services.auth.model.oidc.discovery import Metadata
from services.auth.model.oidc.entry import check_entry
from services.auth.model.oidc.groups import similar_names
from services.auth.model.oidc.refusal import SignInError
from services.auth.model.oidc.sent_groups import read_sent_groups
from services.auth.usecases.authorization import SignInSettings

SHOWN = 20
"""Groups that a finding names."""


async def examine_claims(
    report: DoctorReport,
    metadata: Metadata,
    http: ProviderHttp,
    settings: SignInSettings,
    token: str,
    id_claims: Mapping[str, Any] | None = None,
) -> None:
    """Fetch user info with a token, and evaluate the entry rules on it and on the ID token's claims."""
    if not token:
        report.skip("claims", "use --login, or --token ACCESS_TOKEN, to examine the claims of a person")
        return
    if not metadata.userinfo_endpoint:
        report.skip("claims", "the provider has no user info to ask")
        return
    try:
        answer = await http.get(metadata.userinfo_endpoint, {"Authorization": f"Bearer {token}"})
    except SignInError as error:
        report.refusal("claims", error, "ask the provider")
        return
    if answer.status != 200:
        text = f"user info answers with {answer.status}"
        cause = "the token has expired, is for another application, or lacks the scope openid"
        report.fail("claims", text, cause, "get a new access token for this application")
        return
    try:
        document = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        report.skip("claims", "user info is signed or no JSON object, and is not read here")
        return
    report.facts["claims"] = {name: kind_of(value) for name, value in document.items()}
    report.ok("claims", f"user info has {', '.join(sorted(document))}")
    if id_claims is not None:
        _report_documents(report, {"user info": document, "ID token": id_claims}, settings)
    known = {**(id_claims or {}), **document}
    _examine_address(report, known, settings)
    _examine_groups(report, known, settings)
    _replay(report, metadata, [document, *([id_claims] if id_claims is not None else [])], settings)


def _examine_address(report: DoctorReport, document: Mapping[str, Any], settings: SignInSettings) -> None:
    rules, claim = settings.entry, settings.claims.email
    if claim_at(document, claim) is None:
        report.warn(
            "email", f"no claim {claim!r}", "the scope email is not allowed, or the account has no address",
            "allow the scope email for the application, or set oidc.claims.email",
        )  # fmt: skip
    elif document.get("email_verified") is None and rules.email_verified_required:
        report.warn(
            "email", "the provider does not send email_verified",
            "an unverified address is left out",
            "let the provider send email_verified, or set oidc.email_verified_required: false if it checks all",
        )  # fmt: skip
    else:
        report.ok("email", f"{claim} is {kind_of(claim_at(document, claim))}, with email_verified")


def _examine_groups(report: DoctorReport, document: Mapping[str, Any], settings: SignInSettings) -> None:
    claim, value = settings.claims.groups, claim_at(document, settings.claims.groups)
    if value is None and (document.get("hasgroups") or claim in (document.get("_claim_names") or {})):
        text = "the provider has too many groups of this person to send"
        report.fail("groups", text, "it sends a pointer instead", "let it send only those of the application")
    elif value is None:
        report.warn(
            "groups", f"no claim {claim!r}", "the scope groups is not allowed, or the claim has another name",
            "enable the groups scope at the provider and in oidc.scope, or set oidc.claims.groups",
        )  # fmt: skip
    else:
        sent = read_sent_groups(value)
        if sent.names is None:
            text = f"{claim} is {kind_of(value)}"
            report.fail("groups", text, "groups should be a list of names", "change the mapping at the provider")
            return
        shown = ", ".join(sent.names[:SHOWN]) + (", …" if len(sent.names) > SHOWN else "")
        report.ok("groups", f"{claim} is {kind_of(value)} with {len(sent.names)} names: {shown or 'no group'}")
        _examine_similar_names(report, settings.groups.translate(sent.names), settings.entry.groups)


def _examine_similar_names(report: DoctorReport, have: Iterable[str], wanted: Iterable[str]) -> None:
    for mine, name in similar_names(have, wanted):
        report.warn(
            "groups-names", f"allowed_groups has {name!r}, the provider sends {mine!r}", "names must be equal exactly",
            f"write {mine!r} into oidc.allowed_groups",
        )  # fmt: skip


def _report_documents(
    report: DoctorReport, documents: Mapping[str, Mapping[str, Any]], settings: SignInSettings
) -> None:
    names = settings.claims
    found = {
        claim: " and ".join(name for name, document in documents.items() if claim_at(document, claim) is not None)
        or "nowhere"
        for claim in (names.email, "email_verified", names.groups, names.username, names.name)
    }
    report.facts["claims_in"] = found
    report.ok("claims-where", "; ".join(f"{claim}: {where}" for claim, where in found.items()))
    if len({document.get("sub") for document in documents.values()}) > 1:
        text = "user info and ID token name different people"
        report.fail("claims-where", text, "every sign-in is refused", "ask the provider")


def _replay(
    report: DoctorReport, metadata: Metadata, documents: Sequence[Mapping[str, Any]], settings: SignInSettings
) -> None:
    identity = settings.describe(metadata.identity, str(documents[0].get("sub", "")), documents)
    for notice in settings.trust.limit(identity).notices:
        report.warn("claims-unused", notice.text, f"claim {notice.claim!r}", notice.remedy_for(report.subject))
    try:
        check_entry(identity, settings.entry)
    except SignInError as error:
        report.fail("entry", f"{error} ({error.reason.value})", "the lists of who may enter", "compare allowed_*")
    else:
        report.ok("entry", "this person may enter")
