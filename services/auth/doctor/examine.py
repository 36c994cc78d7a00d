"""The examination of one provider, in the order in which a sign-in would need things."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from services.auth.doctor.browser import examine_browser
from services.auth.doctor.certificates import examine_way
from services.auth.doctor.claims import examine_claims
from services.auth.doctor.credentials import examine_form, examine_proof
from services.auth.doctor.description import examine_description, examine_keys
from services.auth.doctor.device import SignedIn, sign_in_by_code
from services.auth.doctor.report import DoctorReport
from services.auth.idp.client_auth import ClientCredentials
from services.auth.idp.http import ProviderHttp
from services.auth.model.oidc.discovery import effective_issuer
from services.auth.model.oidc.trust import ProviderTrust
from services.auth.provider_config import check_provider, credentials_of, settings_of, trust_in
from services.auth.usecases.authorization import SignInSettings
from services.shared.config import Config
from services.shared.config.errors import ConfigError
from services.shared.config.login import ProviderConfig, key_of_provider


async def examine_provider(
    configuration: Config, name: str, token: str = "", prompt: Callable[[str], None] | None = None
) -> DoctorReport:
    """Examine one provider of the configuration; its name is empty for the default one.

    `token` is an access token of a person whose claims are examined too. `prompt` is called with where to enter which
    code, and lets a person sign in for the examination instead.
    """
    config = configuration.oidc.in_use()[name]
    report = DoctorReport(key_of_provider(name))
    if config.ca_path is not None and not config.ca_path.is_file():
        report.fail("ca", f"{config.ca_path} cannot be read", "it is not there", "name a file of PEM certificates")
        return report
    credentials = credentials_of(config)
    try:
        check_provider(name, config, credentials)
    except ConfigError as error:
        for problem in error.problems:
            if "secret" not in problem.key:  # `examine_form` reports that
                report.fail("configuration", problem.key, problem.what, problem.remedy)
    trust = trust_in(configuration.oidc, name)
    settings = settings_of(configuration.server_url, name, config, trust)
    _examine_trust(report, trust)
    await examine(report, config, credentials, settings, datetime.now(UTC), token, prompt)
    return report


def _examine_trust(report: DoctorReport, trust: ProviderTrust) -> None:
    """Add which addresses and groups of the provider count in policies."""
    key = report.subject
    if trust.domains is None:
        report.ok("trusted-domains", "its e-mail addresses count in policies, whatever their domain")
    elif trust.domains:
        report.ok("trusted-domains", f"its e-mail addresses count in policies for {', '.join(trust.domains)}")
    else:
        text = "none of its e-mail addresses counts in policies"
        cause = "with several providers, each counts only for the domains that are stated for it"
        report.warn("trusted-domains", text, cause, f"list its domains in {key}.trusted_domains")
    if trust.groups is None:
        report.ok("trusted-groups", "its groups count in policies, whatever their name")
    elif trust.groups:
        report.ok("trusted-groups", f"of its groups, these count in policies: {', '.join(trust.groups)}")
    else:
        text = "none of its groups counts in policies"
        cause = "with several providers, each counts only for the groups that are stated for it"
        report.warn("trusted-groups", text, cause, f"list them in {key}.groups.allow, or set {key}.groups.prefix")


async def examine(
    report: DoctorReport,
    config: ProviderConfig,
    credentials: ClientCredentials,
    settings: SignInSettings,
    now: datetime,
    token: str = "",
    prompt: Callable[[str], None] | None = None,
) -> None:
    """Add findings to a report, in the order in which a sign-in would fail.

    Checks that depend on one that failed are left out. `prompt` as for `examine_provider`.
    """
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
        if prompt is not None and not token:
            found = await sign_in_by_code(report, credentials, metadata, http, settings.scope, now, prompt)
            person = found or person
        await examine_claims(report, metadata, http, settings, person.access_token, person.id_claims)
    finally:
        await http.close()
