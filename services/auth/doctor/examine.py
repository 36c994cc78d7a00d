"""The examination of one provider, in the order in which a sign-in would need things."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.auth.doctor.browser import examine_browser
from services.auth.doctor.certificates import examine_way
from services.auth.doctor.claims import examine_claims
from services.auth.doctor.credentials import examine_form, examine_proof
from services.auth.doctor.description import examine_description, examine_keys
from services.auth.doctor.device import SignedIn, sign_in_by_code
from services.auth.doctor.report import DoctorReport
from services.auth.idp.client_auth import Credentials
from services.auth.idp.http import ProviderHttp
from services.auth.model.oidc.discovery import effective_issuer
from services.auth.usecases.verify_sign_in import SignInSettings
from services.shared.config.login import ProviderConfig


async def examine(
    report: DoctorReport,
    config: ProviderConfig,
    credentials: Credentials,
    settings: SignInSettings,
    now: datetime,
    token: str = "",
    tell: Callable[[str], None] | None = None,
) -> None:
    """Add what is found; every later check is left out where an earlier one makes it idle.

    `tell` is given where to enter which code, and lets a person sign in for the examination."""
    shape = examine_form(report, credentials)
    issuer = effective_issuer(config.issuer, config.app_id)
    if not await examine_way(report, issuer, config.ca_path, now, ca_key=f"{report.subject}.ca_path"):
        return
    http = ProviderHttp(config.ca_path)
    try:
        metadata = await examine_description(report, config, http, now)
        if metadata is None:
            return
        await examine_keys(report, metadata, http)
        if shape:
            await examine_proof(report, credentials, metadata, http, settings.redirect_uri, now)
        await examine_browser(report, metadata, http, settings)
        person = SignedIn(token)
        if tell is not None and not token:
            found = await sign_in_by_code(report, credentials, metadata, http, settings.scope, now, tell)
            person = found or person
        await examine_claims(report, metadata, http, settings, person.access_token, person.id_claims)
    finally:
        await http.close()
