"""Examines the authorization endpoint as a browser would use it: is our redirect URL allowed, is PKCE required.

Requests have `prompt=none`, which shows no page: a provider that has registered client and redirect URL redirects with
"login_required"; one that does not shows its error to the browser, as it must (RFC 6749 §4.1.2.1).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from services.auth.doctor.report import DoctorReport
from services.auth.idp.http import ProviderHttp
from services.auth.model.oidc.discovery import Metadata
from services.auth.model.oidc.refusal import SignInError
from services.auth.usecases.authorization import SignInSettings, authorization_url

_NOBODY = frozenset(
    ("login_required", "interaction_required", "consent_required", "account_selection_required", "access_denied")
)


@dataclass(frozen=True, slots=True)
class _BrowserAnswer:
    """The response that a browser would get."""

    status: int
    back: bool
    """It redirects to our redirect URL."""
    error: str = ""
    words: str = ""


async def examine_browser(
    report: DoctorReport, metadata: Metadata, http: ProviderHttp, settings: SignInSettings
) -> None:
    """Add what the authorization endpoint answers to a browser."""
    mine = settings.redirect_uri
    report.facts["redirect_uri"] = mine
    url = _url(metadata, settings)
    try:
        met = await _ask(http, url, mine)
    except SignInError as error:
        report.refusal("redirect-url", error, "check the authorization endpoint")
        return
    if met.back and met.error in _NOBODY | {""}:
        report.ok("redirect-url", f"{mine} is allowed")
    elif met.back:
        _examine_error(report, met, mine, settings)
    elif 300 <= met.status < 400:
        report.ok("redirect-url", f"the provider continues to its own pages with {mine}")
    elif met.status == 200:
        report.ok("redirect-url", f"the provider shows a page; it does not refuse {mine} openly")
    elif 400 <= met.status < 500:
        report.fail(
            "redirect-url", f"the provider refuses the browser with {met.status}",
            f"{mine} is not among the Allowed Redirect URLs, or the client id is unknown",
            f"add exactly {mine} at the provider, and compare the client id",
        )  # fmt: skip
        return
    else:
        text = f"the provider answers the browser with {met.status}"
        report.warn("redirect-url", text, "the provider has a fault", "try again later")
        return
    await _examine_pkce(report, http, url, mine, met)


def _url(metadata: Metadata, settings: SignInSettings) -> str:
    extra = {name: value for name, value in settings.extra_params.items() if name != "prompt"}
    quiet = replace(settings, extra_params={**extra, "prompt": "none"})
    return authorization_url(quiet, metadata, "doctor." + secrets.token_urlsafe(16), secrets.token_urlsafe(32))


async def _ask(http: ProviderHttp, url: str, mine: str) -> _BrowserAnswer:
    answer = await http.get(url, {"Accept": "text/html"}, redirects=True)
    target = answer.location
    back = target == mine or target.startswith((mine + "?", mine + "#"))
    query: Mapping[str, str] = dict(parse_qsl(urlsplit(target).query)) if back else {}
    return _BrowserAnswer(answer.status, back, query.get("error", "")[:64], query.get("error_description", "")[:200])


def _examine_error(report: DoctorReport, met: _BrowserAnswer, mine: str, settings: SignInSettings) -> None:
    report.ok("redirect-url", f"{mine} is allowed")
    text = f"the provider answers {met.error!r} {met.words!r}"
    if met.error == "invalid_scope":
        report.warn(
            "scopes-asked", text, f"it does not allow one of: {' '.join(settings.scope)}",
            "allow them for the application, or remove them from oidc.scope; a sign-in retries with fewer",
        )  # fmt: skip
    elif met.error == "unauthorized_client":
        cause = "the application may not use the authorization code flow"
        report.fail("client-type", text, cause, "make it a confidential web application at the provider")
    else:
        report.warn("authorization", text, "a sign-in would get the same answer", "compare scope and extra_params")


async def _examine_pkce(report: DoctorReport, http: ProviderHttp, url: str, mine: str, with_it: _BrowserAnswer) -> None:
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if not name.startswith("code_challenge")]
    try:
        without = await _ask(http, urlunsplit(parts._replace(query=urlencode(query))), mine)
    except SignInError:
        return
    if (without.status, without.error) != (with_it.status, with_it.error) and without.error == "invalid_request":
        report.ok("pkce-needed", "the provider requires PKCE, which is always sent")
        report.facts["pkce_required"] = True
    else:
        report.facts["pkce_required"] = False
