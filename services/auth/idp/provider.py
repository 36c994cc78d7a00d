"""One provider: its metadata and keys, cached, and its token and user info endpoints.

Metadata that cannot be refreshed stay in use. A token with an unknown key causes new keys to be fetched, at most every
30 seconds, so that forged tokens cannot cause a flood of requests to the provider.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import orjson

from services.auth.idp.client_auth import ClientCredentials, authenticate, methods_of
from services.auth.idp.http import ProviderHttp, ProviderResponse
from services.auth.model.oidc.discovery import (
    WELL_KNOWN,
    Metadata,
    effective_issuer,
    is_secure,
    issuer_hint,
    read_metadata,
)
from services.auth.model.oidc.keys import KeySet, read_keys
from services.auth.model.oidc.refusal import RefusalReason, SignInError
from services.auth.store.provider import ProviderTokens
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

METADATA_AGE = timedelta(hours=12).total_seconds()
KEYS_AGE = timedelta(hours=1).total_seconds()
KEYS_REST = 30.0
FAILURE_PAUSE = 3.0
"""Seconds without a request after a failure, so that many sign-ins do not cause many requests."""


@dataclass(slots=True)
class _Kept:
    value: Any = None
    at: float = 0.0
    failed_at: float | None = None
    failure: SignInError | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class HttpProvider:
    """A provider of the configuration."""

    def __init__(
        self, issuer: str, app_id: str, credentials: ClientCredentials, http: ProviderHttp, clock: Clock
    ) -> None:
        self._issuer = issuer
        self._effective = effective_issuer(issuer, app_id)
        self._credentials = credentials
        self._http = http
        self._clock = clock
        self._metadata = _Kept()
        self._keys = _Kept()
        self._looked_at: float | None = None
        self._auth_method = ""

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def metadata(self) -> Metadata:
        """Return the provider's metadata.

        Raises:
            SignInError: they cannot be fetched, and none are cached.
        """
        found: Metadata = await self._fresh(self._metadata, METADATA_AGE, self._discover)
        return found

    async def keys(self, *, unknown: bool = False) -> KeySet:
        """Return the provider's keys; `unknown`: a token names none of them.

        Raises:
            SignInError: they cannot be fetched, and none are cached.
        """
        age = KEYS_AGE
        now = self._clock.monotonic()
        if unknown and (self._looked_at is None or now - self._looked_at >= KEYS_REST):
            self._looked_at, age = now, 0.0
        found: KeySet = await self._fresh(self._keys, age, self._fetch_keys)
        return found

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> ProviderTokens:
        """Exchange an authorization code for tokens.

        Raises:
            SignInError: the provider refuses the code or the client, or its answer is not a token response.
        """
        metadata = await self.metadata()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        document = await self._request_tokens(metadata, form)
        id_token, access_token = document.get("id_token"), document.get("access_token")
        if not isinstance(id_token, str) or not id_token:
            raise SignInError(
                RefusalReason.TOKEN_MISSING, "the provider sent no ID token; is the scope openid asked for?"
            )
        if not isinstance(access_token, str) or str(document.get("token_type", "")).lower() != "bearer":
            raise SignInError(RefusalReason.TOKEN_MISSING, "the provider sent no bearer token")
        return ProviderTokens(id_token, access_token)

    async def _request_tokens(self, metadata: Metadata, form: dict[str, str]) -> dict[str, Any]:
        methods = methods_of(self._credentials, metadata)
        if self._auth_method in methods:  # it was accepted before
            methods = (self._auth_method, *(method for method in methods if method != self._auth_method))
        refusal: SignInError | None = None
        for method in methods:
            headers, proof = authenticate(replace(self._credentials, method=method), metadata, self._clock.now())
            answer = await self._http.post(metadata.token_endpoint, {**form, **proof}, headers)
            document = _json(answer.body)
            if answer.status == 200:
                self._remember(method, first=methods[0])
                return document
            refusal = refusal or _token_refusal(answer, document)
            if not _refuses_client(answer, document):
                raise _token_refusal(answer, document)
        if refusal is None:
            authenticate(self._credentials, metadata, self._clock.now())  # raises the reason
        raise refusal or SignInError(RefusalReason.CLIENT_CREDENTIALS, "the provider takes no configured credentials")

    def _remember(self, method: str, *, first: str) -> None:
        if method != first:
            remedy = f"set client_auth: {method} for this provider"
            log.warning("provider accepted the client secret only by another method", method=method, remedy=remedy)
        self._auth_method = method

    async def userinfo(self, access_token: str) -> dict[str, Any] | str | None:
        """Fetch user info as an object or a signed token; None if the provider has no such endpoint.

        Raises:
            SignInError: it cannot be fetched or read.
        """
        endpoint = (await self.metadata()).userinfo_endpoint
        if not endpoint:
            return None
        if not access_token.isascii() or not access_token.isprintable() or " " in access_token:
            raise SignInError(RefusalReason.TOKEN_MISSING, "the provider's access token is no token")
        answer = await self._http.get(endpoint, {"Authorization": f"Bearer {access_token}"})
        if answer.status != 200:
            raise SignInError(
                RefusalReason.USERINFO_UNAVAILABLE, f"the provider's user info answers with {answer.status}"
            )
        if answer.content_type == "application/jwt":
            return answer.body.decode("ascii", "replace")
        document = _json(answer.body)
        if not document:
            raise SignInError(RefusalReason.USERINFO_MALFORMED, "the provider's user info is no JSON object")
        return document

    async def _fresh(self, kept: _Kept, age: float, fetch: Any) -> Any:
        async with kept.lock:
            now = self._clock.monotonic()
            if kept.value is not None and now - kept.at < age:
                return kept.value
            if kept.failure is not None and kept.failed_at is not None and now - kept.failed_at < FAILURE_PAUSE:
                if kept.value is not None:
                    return kept.value
                raise SignInError(kept.failure.reason, str(kept.failure))
            try:
                kept.value = await fetch()
            except SignInError as error:
                kept.failure, kept.failed_at = error, now
                log.warning("provider cannot be used", reason=error.reason.value, error=str(error))
                if kept.value is None:
                    raise
                return kept.value
            kept.at, kept.failure = now, None
            return kept.value

    async def _discover(self) -> Metadata:
        url = self._effective + WELL_KNOWN
        if not is_secure(url):
            raise SignInError(RefusalReason.ENDPOINT_INSECURE, "oidc.issuer is no https URL")
        answer = await self._http.get(url)
        if answer.status != 200:
            raise SignInError(
                RefusalReason.DISCOVERY_STATUS,
                f"{url} answers with {answer.status}; {issuer_hint(self._effective)}",
            )
        try:
            document = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            raise SignInError(
                RefusalReason.DISCOVERY_NOT_JSON, f"{url} does not answer with JSON; {issuer_hint(self._effective)}"
            ) from None
        metadata = read_metadata(self._issuer.strip(), self._effective, document)
        if metadata.pinned:
            log.warning("provider names another issuer than its address", issuer=metadata.issuer, address=url)
        return metadata

    async def _fetch_keys(self) -> KeySet:
        answer = await self._http.get((await self.metadata()).jwks_uri)
        if answer.status != 200:
            raise SignInError(RefusalReason.JWKS_UNUSABLE, f"the provider's key set answers with {answer.status}")
        return read_keys(_json(answer.body))


def _json(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _refuses_client(answer: ProviderResponse, document: dict[str, Any]) -> bool:
    """Return whether the token endpoint refuses our authentication, and not the code."""
    return answer.status == 401 or document.get("error") in ("invalid_client", "unauthorized_client", "invalid_request")


def _token_refusal(answer: ProviderResponse, document: dict[str, Any]) -> SignInError:
    error = document.get("error")
    if error in ("invalid_client", "unauthorized_client") or answer.status == 401:
        return SignInError(
            RefusalReason.CLIENT_CREDENTIALS,
            "the provider does not accept the client id or secret; compare both with its page",
        )
    if error == "invalid_grant":
        return SignInError(RefusalReason.CODE_REFUSED, "the provider no longer accepts its code; sign in again")
    return SignInError(RefusalReason.TOKEN_ENDPOINT, f"the provider's token endpoint answers with {answer.status}")
