"""Client authentication at the token endpoint: a secret in the header or the form, or a signed assertion (RFC 7523)."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from services.auth.model.oidc.discovery import Metadata
from services.auth.model.oidc.refusal import RefusalReason, SignInError
from services.shared.file_rights import reason_of

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFETIME = timedelta(minutes=2)


class UnusableSecretError(ValueError):
    """The configured secret is malformed; the text names the mistake, never the secret."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Client credentials for one provider; files are read at every use."""

    client_id: str
    secret: str = field(default="", repr=False)
    secret_path: Path | None = None
    key_path: Path | None = None
    method: str = ""
    """Empty: chosen from the methods that the provider declares."""

    def current_secret(self) -> str:
        """Return the secret as it is now.

        Raises:
            UnusableSecretError: the file cannot be read, or its content is malformed.
        """
        if self.secret_path is None:
            return checked_secret(self.secret)
        try:
            text = self.secret_path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise UnusableSecretError(f"{self.secret_path} is not UTF-8 text") from None
        except OSError as error:
            raise UnusableSecretError(f"{self.secret_path} cannot be read: {reason_of(error)}") from None
        return checked_secret(text.rstrip("\r\n"))

    def signing_key(self) -> tuple[RSAKey | ECKey, str]:
        """Return the private key of private_key_jwt and its algorithm.

        Raises:
            UnusableSecretError: there is none, it cannot be read, or has another type.
        """
        if self.key_path is None:
            raise UnusableSecretError("private_key_jwt needs oidc.private_key_path")
        # Imported late: most providers use a secret and need none of this.
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from joserfc.jwk import ECKey, RSAKey

        try:
            pem = self.key_path.read_bytes()
            private = load_pem_private_key(pem, None)
            if isinstance(private, EllipticCurvePrivateKey):
                return ECKey.import_key(pem), {256: "ES256", 384: "ES384", 521: "ES512"}[private.curve.key_size]
            return RSAKey.import_key(pem), "RS256"
        except OSError as error:
            raise UnusableSecretError(f"{self.key_path} cannot be read: {reason_of(error)}") from None
        except (ValueError, TypeError, KeyError):
            raise UnusableSecretError(f"{self.key_path} contains no private key that can be used") from None


def checked_secret(text: str) -> str:
    """Check a secret and strip white space around it, as left by copying.

    Raises:
        UnusableSecretError: it is empty or has blanks or other characters that no provider makes.
    """
    if not text:
        raise UnusableSecretError("the client secret is empty")
    if text != text.strip():
        raise UnusableSecretError("the client secret begins or ends with a blank or a line end")
    if not text.isascii() or not text.isprintable():
        raise UnusableSecretError("the client secret has a character that is invisible or not ASCII")
    if text[0] == text[-1] and text[0] in "'\"" and len(text) > 1:
        raise UnusableSecretError("the client secret has quotes around it")
    return text


def authenticate(
    credentials: ClientCredentials, metadata: Metadata, now: datetime
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers and form fields that authenticate us at the token endpoint.

    Raises:
        SignInError: the provider supports none of our methods.
    """
    try:
        match method_of(credentials, metadata):
            case "client_secret_basic":
                # RFC 6749 §2.3.1: both parts are form-encoded first.
                pair = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.current_secret())}"
                return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, {}
            case "client_secret_post":
                return {}, {"client_id": credentials.client_id, "client_secret": credentials.current_secret()}
            case "private_key_jwt":
                assertion = _assertion(credentials, metadata.issuer, now)
                return {}, {
                    "client_id": credentials.client_id,
                    "client_assertion_type": _ASSERTION,
                    "client_assertion": assertion,
                }
    except UnusableSecretError as error:
        raise SignInError(RefusalReason.CLIENT_CREDENTIALS, str(error)) from None
    raise SignInError(RefusalReason.CLIENT_CREDENTIALS, "the provider takes no kind of proof that is configured here")


def method_of(credentials: ClientCredentials, metadata: Metadata) -> str:
    """Return the authentication method to use first; empty if the provider takes none that is implemented here."""
    return next(iter(methods_of(credentials, metadata)), "")


def methods_of(credentials: ClientCredentials, metadata: Metadata) -> tuple[str, ...]:
    """Return the authentication methods to try, in order.

    The configured one alone, else those that the provider declares. A provider that declares none should take the
    header (RFC 8414 §2), but some take the form only, so that is tried second.
    """
    if credentials.method:
        return (credentials.method,)
    if credentials.key_path is not None:
        return ("private_key_jwt",)
    if not metadata.auth_methods:
        return METHODS[:2]
    return tuple(method for method in METHODS[:2] if method in metadata.auth_methods)


def _assertion(credentials: ClientCredentials, audience: str, now: datetime) -> str:
    from joserfc import jwt  # imported late: most providers use a secret and need none of this

    made, alg = credentials.signing_key()
    claims = {
        "iss": credentials.client_id,
        "sub": credentials.client_id,
        "aud": audience,
        "jti": secrets.token_urlsafe(16),
        "iat": int(now.timestamp()),
        "exp": int((now + _LIFETIME).timestamp()),
    }
    return jwt.encode({"alg": alg}, claims, made, algorithms=[alg])
