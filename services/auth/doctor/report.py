"""What an examination found, in the order of the finding."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from services.auth.model.oidc.refusal import RefusalReason, SignInError


class Level(Enum):
    """How bad it is."""

    OK = "OK"
    SKIP = "SKIP"
    """Not examined; the text says what would be needed."""
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and its outcome."""

    subject: str
    """What was examined: the provider's place in the file, `server_url`, or a user."""
    check: str
    """A stable name."""
    level: Level
    text: str
    cause: str = ""
    remedy: str = ""


@dataclass(slots=True)
class DoctorReport:
    """All findings about one subject, and what to send to somebody who helps."""

    subject: str
    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """What the provider says of itself; no secret is in it."""

    def ok(self, check: str, text: str) -> None:
        """It is well."""
        self.findings.append(Finding(self.subject, check, Level.OK, text))

    def skip(self, check: str, text: str) -> None:
        """It was not looked at."""
        self.findings.append(Finding(self.subject, check, Level.SKIP, text))

    def warn(self, check: str, text: str, cause: str, remedy: str) -> None:
        """It may work, or not for everybody."""
        self.findings.append(Finding(self.subject, check, Level.WARN, text, cause, remedy))

    def fail(self, check: str, text: str, cause: str, remedy: str) -> None:
        """Nobody can sign in like this."""
        self.findings.append(Finding(self.subject, check, Level.FAIL, text, cause, remedy))

    def refusal(self, check: str, error: SignInError, fallback: str) -> None:
        """A failure by the reason of a refusal."""
        cause, remedy = REMEDIES.get(error.reason, (error.reason.value, fallback))
        self.fail(check, str(error), cause, remedy)

    @property
    def failed(self) -> bool:
        """Whether anything must be mended."""
        return any(finding.level is Level.FAIL for finding in self.findings)


REMEDIES: dict[RefusalReason, tuple[str, str]] = {
    RefusalReason.PROVIDER_UNREACHABLE: (
        "the provider does not answer this host",
        "check DNS, firewall and the provider's status; proxies of the environment are not used",
    ),
    RefusalReason.DISCOVERY_STATUS: (
        "there is no description at this address: most often the App ID is missing or wrong",
        "copy the issuer with the App ID from the provider's page into oidc.issuer: https://TENANT/api/oidc/[appid]",
    ),
    RefusalReason.DISCOVERY_NOT_JSON: (
        "a web page answers, not the provider's description: the path is wrong",
        "copy the issuer with the App ID from the provider's page into oidc.issuer: https://TENANT/api/oidc/[appid]",
    ),
    RefusalReason.DISCOVERY_INCOMPLETE: ("the provider's description lacks what a sign-in needs", "ask the provider"),
    RefusalReason.DISCOVERY_UNSUITABLE: (
        "the provider does not offer what is needed here",
        "allow the authorization code flow, PKCE with S256 and signatures by RS256 or ES256 for the application",
    ),
    RefusalReason.ISSUER_MISMATCH: (
        "tokens of this provider would carry another issuer than the configured one",
        "set oidc.issuer to what the provider calls itself",
    ),
    RefusalReason.ENDPOINT_INSECURE: ("secrets would go over http", "use https for the provider"),
    RefusalReason.REDIRECTED: (
        "the provider redirects, and redirects are not followed",
        "write the address that it redirects to into oidc.issuer",
    ),
    RefusalReason.ANSWER_TOO_LARGE: ("the answer is none of an OpenID provider", "check the address"),
    RefusalReason.JWKS_UNUSABLE: (
        "no key of the provider can prove a token",
        "ask the provider: RSA of 2048 bits, or P-256",
    ),
    RefusalReason.CLIENT_CREDENTIALS: (
        "client id or secret cannot be right",
        "copy both again from the provider's page; look for spaces and hidden characters",
    ),
}
