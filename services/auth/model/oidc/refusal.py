"""Reasons of refused sign-ins: one stable code for each, shared by the log, the page, the doctor and the API."""

from __future__ import annotations

from enum import Enum


class RefusalReason(Enum):
    """The reason of a refusal. The values are public and stable: people search for them."""

    # The provider cannot be used.
    PROVIDER_UNREACHABLE = "provider-unreachable"
    DISCOVERY_STATUS = "discovery-status"
    DISCOVERY_NOT_JSON = "discovery-not-json"
    DISCOVERY_INCOMPLETE = "discovery-incomplete"
    DISCOVERY_UNSUITABLE = "discovery-unsuitable"
    ISSUER_MISMATCH = "issuer-mismatch"
    ENDPOINT_INSECURE = "endpoint-insecure"
    REDIRECTED = "redirected"
    ANSWER_TOO_LARGE = "answer-too-large"
    JWKS_UNUSABLE = "jwks-unusable"
    CLIENT_CREDENTIALS = "client-credentials"
    # The answer to the browser.
    RESPONSE_ISSUER = "response-issuer"
    RESPONSE_INCOMPLETE = "response-incomplete"
    PROVIDER_ERROR = "provider-error"
    ACCESS_DENIED = "access-denied"
    CODE_REFUSED = "code-refused"
    TOKEN_ENDPOINT = "token-endpoint"
    TOKEN_MISSING = "token-missing"
    # The ID token.
    TOKEN_MALFORMED = "token-malformed"
    TOKEN_TOO_LARGE = "token-too-large"
    TOKEN_ALGORITHM = "token-algorithm"
    TOKEN_CRITICAL = "token-critical"
    TOKEN_TYPE = "token-type"
    TOKEN_KEY_UNKNOWN = "token-key-unknown"
    TOKEN_KEY_AMBIGUOUS = "token-key-ambiguous"
    TOKEN_KEY_WEAK = "token-key-weak"
    TOKEN_SIGNATURE = "token-signature"
    TOKEN_ISSUER = "token-issuer"
    TOKEN_AUDIENCE = "token-audience"
    TOKEN_PARTY = "token-party"
    TOKEN_SUBJECT = "token-subject"
    TOKEN_EXPIRED = "token-expired"
    TOKEN_TIME = "token-time"
    TOKEN_FUTURE = "token-future"
    TOKEN_OLD = "token-old"
    TOKEN_LOGIN_OLD = "token-login-old"
    TOKEN_NONCE = "token-nonce"
    TOKEN_HASH = "token-hash"
    # The user info.
    USERINFO_UNAVAILABLE = "userinfo-unavailable"
    USERINFO_MALFORMED = "userinfo-malformed"
    USERINFO_SUBJECT = "userinfo-subject"
    # Entry.
    CLAIM_MALFORMED = "claim-malformed"
    EMAIL_MISSING = "email-missing"
    EMAIL_UNVERIFIED = "email-unverified"
    DOMAIN_NOT_ALLOWED = "domain-not-allowed"
    USER_NOT_ALLOWED = "user-not-allowed"
    GROUPS_MISSING = "groups-missing"
    GROUPS_ELSEWHERE = "groups-elsewhere"
    GROUP_NOT_ALLOWED = "group-not-allowed"
    NAMESPACE_MISSING = "namespace-missing"
    USER_UNKNOWN = "user-unknown"
    USER_SUSPENDED = "user-suspended"
    # The device.
    LOGIN_OVER = "login-over"
    LOGIN_DECIDED = "login-decided"
    DEVICE_REFUSED = "device-refused"
    DEVICE_NOT_MINE = "device-not-mine"
    # The SSH session.
    NOT_OWNER = "not-owner"
    SESSION_OVER = "session-over"
    SESSION_DECIDED = "session-decided"
    SESSION_REFUSED = "session-refused"
    SESSION_NOT_MINE = "session-not-mine"
    OUR_SIDE = "our-side"


FINAL = frozenset(
    {
        RefusalReason.ACCESS_DENIED,
        RefusalReason.EMAIL_MISSING,
        RefusalReason.EMAIL_UNVERIFIED,
        RefusalReason.DOMAIN_NOT_ALLOWED,
        RefusalReason.USER_NOT_ALLOWED,
        RefusalReason.GROUP_NOT_ALLOWED,
        RefusalReason.USER_SUSPENDED,
        RefusalReason.DEVICE_NOT_MINE,
    }
)
"""Signing in again ends the same way, so the device is refused. After any other reason it keeps waiting."""


class SignInError(Exception):
    """A sign-in that was refused; the text is for people and contains no secret and no token."""

    def __init__(self, reason: RefusalReason, text: str, account: str = "") -> None:
        super().__init__(text)
        self.reason = reason
        self.account = account
        """What the provider calls the account that was used; empty before it is known."""

    @property
    def final(self) -> bool:
        """True if another attempt with the same account ends the same way."""
        return self.reason in FINAL
