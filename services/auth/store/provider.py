"""Protocol of an OpenID provider, and the tokens that it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from services.auth.model.oidc.discovery import Metadata

if TYPE_CHECKING:
    from services.auth.model.oidc.keys import KeySet


@dataclass(frozen=True, slots=True)
class ProviderTokens:
    """What a provider gives for a code; nothing of it is proven."""

    unverified_id_token: str = field(repr=False)
    access_token: str = field(repr=False)


class IdentityProvider(Protocol):
    """An OpenID provider. What fails comes as `SignInError`."""

    async def metadata(self) -> Metadata:
        """Its description."""
        ...

    async def keys(self, *, unknown: bool = False) -> KeySet:
        """Its keys; with `unknown`, newer ones if it is time to look."""
        ...

    async def redeem(self, code: str, verifier: str, redirect_uri: str) -> ProviderTokens:
        """Trade a code for tokens."""
        ...

    async def userinfo(self, access_token: str) -> dict[str, Any] | str | None:
        """What it says of the person: an object, a signed token, or None where it has no such endpoint."""
        ...
