"""Verifies an ID token (OpenID Connect Core §3.1.3.7). Only `verify_id_token` makes `VerifiedClaims`. No clock.

The header can only choose one of the keys that the provider publishes: keys and URLs in it are ignored.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from services.auth.model.oidc.keys import KeySet
from services.auth.model.oidc.refusal import RefusalReason, SignInError

MAX_TOKEN = 512 * 1024
"""Maximum characters of a token. Pictures as data: URIs and thousands of groups make large ones."""
MAX_HEADER = 16 * 1024
"""Maximum bytes of its header, where some providers put a chain of certificates (x5c)."""
MAX_SUBJECT = 255
MAX_AGE = timedelta(minutes=10)
"""Greatest age of a token, which is issued for this request."""
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class TokenExpectations:
    """The values that a token must match."""

    issuer: str
    client_id: str
    nonce: str
    algorithms: Collection[str]
    leeway: timedelta
    access_token: str = ""
    max_age: timedelta | None = None
    """Maximum time since the person authenticated at the provider; None: any."""


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """The claims of a verified ID token."""

    subject: str
    expires_at: datetime
    claims: Mapping[str, Any]


def verify_id_token(unverified_token: str, keys: KeySet, expected: TokenExpectations, now: datetime) -> VerifiedClaims:
    """Verify an ID token.

    Raises:
        UnknownKeyError: the key set may be stale; fetch it again and retry once.
        SignInError: the token is not valid.
    """
    claims = open_signed(unverified_token, keys, expected.algorithms, expected.access_token)
    if claims.get("iss") != expected.issuer:
        raise SignInError(RefusalReason.TOKEN_ISSUER, "the token comes from another issuer")
    _check_audience(claims, expected.client_id)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        raise SignInError(RefusalReason.TOKEN_SUBJECT, "the token has no usable subject")
    expires_at = _check_times(claims, expected.leeway, now)
    _check_login_time(claims, expected, now)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise SignInError(RefusalReason.TOKEN_NONCE, "the token was not issued for this sign-in")
    return VerifiedClaims(subject, expires_at, claims)


def open_signed(
    unverified_token: str, keys: KeySet, algorithms: Collection[str], access_token: str = ""
) -> dict[str, Any]:
    """Verify the signature of a token and return its claims, which are not checked otherwise.

    Raises:
        SignInError: malformed, or its signature, algorithm or key is not accepted.
    """
    header = _header(unverified_token)
    alg, kid = header.get("alg"), header.get("kid")
    if not isinstance(alg, str) or alg not in algorithms:
        raise SignInError(RefusalReason.TOKEN_ALGORITHM, "the token's signature algorithm is not accepted")
    if "crit" in header:
        raise SignInError(RefusalReason.TOKEN_CRITICAL, "the token requires unknown extensions")
    if str(header.get("typ", "JWT")).lower() not in ("jwt", "id_token+jwt"):
        raise SignInError(RefusalReason.TOKEN_TYPE, "the token is of another kind")
    if kid is not None and not isinstance(kid, str):
        raise SignInError(RefusalReason.TOKEN_MALFORMED, "the token's key id is not text")
    key = keys.find(kid, alg)
    from joserfc import jws  # late, as in `keys`
    from joserfc.errors import JoseError

    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    registry.max_header_length, registry.max_payload_length = MAX_HEADER, MAX_TOKEN
    try:
        payload = jws.deserialize_compact(unverified_token, key, registry=registry).payload
    except (JoseError, ValueError, TypeError):
        raise SignInError(RefusalReason.TOKEN_SIGNATURE, "the token's signature is not valid") from None
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError:
        claims = None
    if not isinstance(claims, dict):
        raise SignInError(RefusalReason.TOKEN_MALFORMED, "the token contains no claims")
    if access_token:
        _check_hash(claims, alg, access_token)
    return claims


def _header(token: str) -> dict[str, Any]:
    malformed = SignInError(RefusalReason.TOKEN_MALFORMED, "the token is not a signed JWT")
    if len(token) > MAX_TOKEN:
        raise SignInError(
            RefusalReason.TOKEN_TOO_LARGE,
            f"the token has {len(token) // 1024} KiB, and at most {MAX_TOKEN // 1024} KiB are accepted; let the "
            "provider leave large claims (a picture, all groups) out of it, they can come from user info",
        )
    if token.count(".") != 2 or not token.isascii():
        raise malformed
    head = token.partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        raise malformed from None
    if not isinstance(header, dict):
        raise malformed
    return header


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    listed = [audience] if isinstance(audience, str) else audience
    if not isinstance(listed, list) or client_id not in listed:
        raise SignInError(RefusalReason.TOKEN_AUDIENCE, "the token was issued for another application")
    party = claims.get("azp")
    if (len(listed) > 1 or party is not None) and party != client_id:
        raise SignInError(RefusalReason.TOKEN_PARTY, "the token was issued to another application")


def _check_times(claims: Mapping[str, Any], leeway: timedelta, now: datetime) -> datetime:
    expires, issued, begins = (_instant(claims, name) for name in ("exp", "iat", "nbf"))
    if expires is None or issued is None:
        raise SignInError(RefusalReason.TOKEN_TIME, "the token has no issue time or no expiry")
    if expires + leeway <= now:
        raise SignInError(
            RefusalReason.TOKEN_EXPIRED, "the token has expired; compare the clocks of server and provider"
        )
    if issued - leeway > now or (begins is not None and begins - leeway > now):
        raise SignInError(
            RefusalReason.TOKEN_FUTURE, "the token is not valid yet; compare the clocks of server and provider"
        )
    if issued + MAX_AGE + leeway < now:
        raise SignInError(RefusalReason.TOKEN_OLD, "the token is too old; compare the clocks of server and provider")
    return expires


def _check_login_time(claims: Mapping[str, Any], expected: TokenExpectations, now: datetime) -> None:
    """Check auth_time, as Core §3.1.3.7 (13) requires of requests with max_age."""
    if expected.max_age is None:
        return
    since = _instant(claims, "auth_time")
    if since is None:
        raise SignInError(
            RefusalReason.TOKEN_LOGIN_OLD, "the token has no time of the sign-in at the provider (auth_time)"
        )
    if since + expected.max_age + expected.leeway < now:
        raise SignInError(
            RefusalReason.TOKEN_LOGIN_OLD, "the person signed in at the provider too long ago; sign in there again"
        )


def _instant(claims: Mapping[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SignInError(RefusalReason.TOKEN_TIME, f"the token's {name} is no time")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise SignInError(RefusalReason.TOKEN_TIME, f"the token's {name} is no time") from None


def _check_hash(claims: Mapping[str, Any], alg: str, access_token: str) -> None:
    if "at_hash" not in claims:
        return
    # An unknown hash must fail, not pass. EdDSA on Ed25519 uses SHA-512.
    make = hashlib.sha512 if alg in ("EdDSA", "Ed25519") else _HASHES.get(alg[2:])
    digest = make(access_token.encode()).digest() if make is not None else b""
    half = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    at_hash = claims["at_hash"]
    if not half or not isinstance(at_hash, str) or not hmac.compare_digest(half.encode(), at_hash.encode()):
        raise SignInError(RefusalReason.TOKEN_HASH, "the ID token belongs to another access token")
