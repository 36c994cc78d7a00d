"""HTTP to a provider, bounded in time and size: no redirects, no compression, no proxies of the environment."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.auth.model.oidc.discovery import is_secure
from services.auth.model.oidc.refusal import RefusalReason, SignInError
from services.shared.request_failures import request_failure

DEADLINE = 10.0
"""Seconds for one exchange, from connecting to the last byte."""
MAX_BODY = 1024 * 1024
MAX_CONNECTIONS = 20


@dataclass(frozen=True, slots=True)
class ProviderResponse:
    """A response of a provider."""

    status: int
    content_type: str
    body: bytes
    date: str = ""
    """The `Date` header."""
    location: str = ""
    """The `Location` header, which is never followed."""


class ProviderHttp:
    """HTTP client of one provider."""

    def __init__(self, ca_path: Path | None = None) -> None:
        import httpx  # imported late: a server without a provider needs no client

        context = ssl.create_default_context()
        if ca_path is not None:
            context.load_verify_locations(ca_path)
        self._client = httpx.AsyncClient(
            verify=context,
            trust_env=False,  # a netrc or proxy of the environment would be handed secrets unasked
            follow_redirects=False,
            timeout=DEADLINE,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS),
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "smartscale"},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(
        self, url: str, headers: Mapping[str, str] | None = None, *, redirects: bool = False
    ) -> ProviderResponse:
        """Fetch a document; with `redirects`, a redirect is an answer like any other.

        Raises:
            SignInError: unreachable, redirected or too large.
        """
        return await self._exchange("GET", url, headers or {}, None, redirects)

    async def post(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> ProviderResponse:
        """Send a form.

        Raises:
            SignInError: unreachable, redirected or too large.
        """
        return await self._exchange("POST", url, headers, form)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None, redirects: bool = False
    ) -> ProviderResponse:
        import httpx

        if not is_secure(url):
            raise SignInError(RefusalReason.ENDPOINT_INSECURE, "the provider is not reached by https")
        try:
            async with (
                asyncio.timeout(DEADLINE),
                self._client.stream(method, url, headers=dict(headers), data=dict(form) if form else None) as response,
            ):
                if not redirects and 300 <= response.status_code < 400:
                    raise SignInError(
                        RefusalReason.REDIRECTED, "the provider answers with a redirect, which is not followed"
                    )
                if response.headers.get("content-encoding", "identity").lower() != "identity":
                    raise SignInError(RefusalReason.ANSWER_TOO_LARGE, "the provider answers compressed, unasked")
                body = bytearray()
                async for part in response.aiter_raw():
                    body += part
                    if len(body) > MAX_BODY:
                        raise SignInError(RefusalReason.ANSWER_TOO_LARGE, "the provider's answer is too large")
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                received = response.headers
                return ProviderResponse(
                    response.status_code, kind, bytes(body), received.get("date", ""), received.get("location", "")
                )
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            raise SignInError(
                RefusalReason.PROVIDER_UNREACHABLE, f"the identity provider cannot be reached: {request_failure(error)}"
            ) from error
