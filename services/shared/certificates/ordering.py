"""One order at an ACME authority (RFC 8555) by certbot's library: account, challenge, certificate. Blocks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import requests
from acme import challenges, client, errors, messages
from acme.crypto_util import make_csr
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from josepy.errors import Error as JoseError
from josepy.jwk import JWK, JWKRSA
from josepy.util import ComparableRSAKey

from services.shared.certificates.store import AcmeStore, key_pem, new_key, write_secret

PATIENCE = timedelta(minutes=2)
"""Time limit of the authority for validation and issuance."""

Kind = Literal["HTTP-01", "TLS-ALPN-01"]


class OrderError(Exception):
    """No certificate was issued; the text is the authority's reason, or what kept us from asking."""


@challenges.ChallengeResponse.register
class _AlpnResponse(challenges.KeyAuthorizationChallengeResponse):
    typ = "tls-alpn-01"


@challenges.Challenge.register
class _Alpn(challenges.KeyAuthorizationChallenge):
    """TLS-ALPN-01 (RFC 8737), which the library no longer has."""

    response_cls = _AlpnResponse
    typ = "tls-alpn-01"

    def validation(self, account_key: JWK, **_unused: object) -> str:
        """Return the key authorization."""
        return str(self.key_authorization(account_key))


_KINDS: dict[Kind, type[challenges.KeyAuthorizationChallenge]] = {
    "HTTP-01": challenges.HTTP01,
    "TLS-ALPN-01": _Alpn,
}


@dataclass(frozen=True, slots=True)
class Authority:
    """Where certificates are ordered, and as whom."""

    directory: str
    email: str
    kind: Kind


def order(authority: Authority, store: AcmeStore) -> None:
    """Order a certificate and put it into the store.

    Raises:
        OrderError: none was issued.
    """
    try:
        _order(authority, store)
    except (errors.Error, JoseError, messages.Error) as error:
        raise OrderError(_reason(error)) from None
    except requests.RequestException as error:
        raise OrderError(f"{authority.directory} cannot be reached: {error}") from None
    except (OSError, ValueError) as error:
        raise OrderError(str(error)) from None
    finally:
        store.close_challenges()


def _order(authority: Authority, store: AcmeStore) -> None:
    account = _account_key(store)
    net = client.ClientNetwork(account, user_agent="smartscale")
    acme = client.ClientV2(client.ClientV2.get_directory(authority.directory, net), net)
    _register(acme, net, authority.email)
    key = new_key()
    opened = acme.new_order(make_csr(key_pem(key), [store.host]))
    for authorization in opened.authorizations:
        if authorization.body.status != messages.STATUS_VALID:
            _answer(acme, account, authorization, authority.kind, store)
    done = acme.poll_and_finalize(opened, datetime.now() + PATIENCE)
    if not done.fullchain_pem:
        raise OrderError("the authority issued no certificate")
    store.put_pair(key, done.fullchain_pem)


def _account_key(store: AcmeStore) -> JWKRSA:
    if not store.account_key.exists():
        made = rsa.generate_private_key(65537, 2048)
        write_secret(store.account_key, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    loaded = load_pem_private_key(store.account_key.read_bytes(), None)
    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise OrderError(f"{store.account_key} does not hold an RSA key")
    return JWKRSA(key=ComparableRSAKey(loaded))


def _register(acme: client.ClientV2, net: client.ClientNetwork, email: str) -> None:
    """Make the account at the first order, and find it again at the others."""
    wanted = messages.NewRegistration.from_data(email=email or None, terms_of_service_agreed=True)
    try:
        acme.new_account(wanted)
    except errors.ConflictError as known:
        net.account = messages.RegistrationResource(uri=known.location, body=messages.Registration())


def _answer(
    acme: client.ClientV2,
    account: JWKRSA,
    authorization: messages.AuthorizationResource,
    kind: Kind,
    store: AcmeStore,
) -> None:
    wanted = _KINDS[kind]
    body = next((each for each in authorization.body.challenges if isinstance(each.chall, wanted)), None)
    if body is None:
        offered = ", ".join(str(each.chall.typ) for each in authorization.body.challenges)
        raise OrderError(f"the authority offers no {kind} challenge, only {offered}")
    response, validation = body.chall.response_and_validation(account)
    if kind == "HTTP-01":
        store.put_token(str(body.chall.encode("token")), str(validation))
    else:
        store.put_alpn(hashlib.sha256(str(validation).encode()).digest(), datetime.now(UTC))
    acme.answer_challenge(body, response)


def _reason(error: Exception) -> str:
    if isinstance(error, errors.ValidationError):
        details = [
            f"{each.body.identifier.value}: {challenge.error.detail}"
            for each in error.failed_authzrs
            for challenge in each.body.challenges
            if challenge.error is not None
        ]
        return "; ".join(details) or "the authority could not reach the challenge"
    if isinstance(error, errors.TimeoutError):
        return f"the authority did not answer within {PATIENCE.total_seconds():.0f} seconds"
    return str(getattr(error, "detail", None) or error or type(error).__name__)
