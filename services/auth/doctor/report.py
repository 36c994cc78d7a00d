"""The findings of an examination, in the order in which they were made."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from services.auth.model.oidc.refusal import RefusalReason, SignInError


class Level(Enum):
    """The level of a finding."""

    OK = "OK"
    SKIP = "SKIP"
    """Not examined; the text names what is missing."""
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    subject: str
    """The examined part: the provider's section of the configuration, `server_url`, or a user."""
    check: str
    """The stable name of the check."""
    level: Level
    text: str
    cause: str = ""
    remedy: str = ""


@dataclass(slots=True)
class DoctorReport:
    """All findings about one subject, and facts for support."""

    subject: str
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """Facts that the provider publishes about itself; no secret."""

    def ok(self, check: str, text: str) -> None:
        """Add a check that passed."""
        self.findings.append(Finding(self.subject, check, Level.OK, text))

    def skip(self, check: str, text: str) -> None:
        """Add a check that was not made."""
        self.findings.append(Finding(self.subject, check, Level.SKIP, text))

    def warn(self, check: str, text: str, cause: str, remedy: str) -> None:
        """Add a problem that prevents some sign-ins, or none."""
        self.findings.append(Finding(self.subject, check, Level.WARN, text, cause, remedy))

    def fail(self, check: str, text: str, cause: str, remedy: str) -> None:
        """Add a problem that prevents every sign-in."""
        self.findings.append(Finding(self.subject, check, Level.FAIL, text, cause, remedy))

    def refusal(self, check: str, error: SignInError, fallback: str) -> None:
        """Add a failure with the cause and remedy of its reason."""
        cause, remedy = REMEDIES.get(error.reason, (error.reason.value, fallback))
        self.fail(check, str(error), cause, remedy)

    @property
    def failed(self) -> bool:
        """True if any check failed."""
        return any(finding.level is Level.FAIL for finding in self.findings)


REMEDIES: dict[RefusalReason, tuple[str, str]] = {
    RefusalReason.PROVIDER_UNREACHABLE: (
        "the provider does not answer this host",
        "check DNS, firewall and the provider's status; proxies of the environment are not used",
    ),
    RefusalReason.DISCOVERY_STATUS: (
        "there are no provider metadata at this address: usually the App ID is missing or wrong",
        "copy the issuer with the App ID from the provider's page into oidc.issuer: https://TENANT/api/oidc/[appid]",
    ),
    RefusalReason.DISCOVERY_NOT_JSON: (
        "a web page answers instead of the provider's metadata: the path is wrong",
        "copy the issuer with the App ID from the provider's page into oidc.issuer: https://TENANT/api/oidc/[appid]",
    ),
    RefusalReason.DISCOVERY_INCOMPLETE: ("the provider's metadata lack what a sign-in needs", "ask the provider"),
    RefusalReason.DISCOVERY_UNSUITABLE: (
        "the provider does not offer what is required here",
        "allow the authorization code flow, PKCE with S256 and signatures by RS256 or ES256 for the application",
    ),
    RefusalReason.ISSUER_MISMATCH: (
        "tokens of this provider would have another issuer than the configured one",
        "set oidc.issuer to the provider's own issuer",
    ),
    RefusalReason.ENDPOINT_INSECURE: ("secrets would be sent over http", "use https for the provider"),
    RefusalReason.REDIRECTED: (
        "the provider redirects, and redirects are not followed",
        "write the address that it redirects to into oidc.issuer",
    ),
    RefusalReason.ANSWER_TOO_LARGE: ("the answer does not come from an OpenID provider", "check the address"),
    RefusalReason.JWKS_UNUSABLE: (
        "no key of the provider can verify a token",
        "ask the provider: RSA of 2048 bits, or P-256",
    ),
    RefusalReason.CLIENT_CREDENTIALS: (
        "client id or secret cannot be right",
        "copy both again from the provider's page; look for spaces and hidden characters",
    ),
}
