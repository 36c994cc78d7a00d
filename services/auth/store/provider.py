"""Protocol of an OpenID provider, and the tokens that it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from services.auth.model.oidc.discovery import Metadata

if TYPE_CHECKING:
    from services.auth.model.oidc.keys import KeySet


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """The tokens that a provider returns for a code, unverified."""

    unverified_id_token: str = field(repr=False)
    access_token: str = field(repr=False)


class IdentityProvider(Protocol):
    """An OpenID provider. Methods raise `SignInError`."""

    async def metadata(self) -> Metadata:
        """Return its metadata."""
        ...

    async def keys(self, *, unknown: bool = False) -> KeySet:
        """Return its keys; `unknown`: a token names none of them, so newer ones are fetched if it is time."""
        ...

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> ProviderTokens:
        """Exchange a code for tokens."""
        ...

    async def userinfo(self, access_token: str) -> dict[str, Any] | str | None:
        """Return user info as an object or a signed token, or None if it has no such endpoint."""
        ...
