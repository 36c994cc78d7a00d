"""The sign-in providers in use, by name; the default one's name is empty. A reload replaces them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.auth.model.errors import ConflictError, NotFoundError
from services.auth.store.provider import IdentityProvider

if TYPE_CHECKING:
    from services.auth.usecases.verify_sign_in import VerifySignIn


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """One provider, and the use case that verifies its sign-ins."""

    name: str
    label: str
    """The label of its button."""
    issuer: str
    """As configured."""
    provider: IdentityProvider
    verify_sign_in: VerifySignIn


class ProviderEntries:
    """The providers in use."""

    def __init__(self) -> None:
        self._by_name: Mapping[str, ProviderEntry] = {}

    def replace(self, by_name: Mapping[str, ProviderEntry]) -> None:
        """Replace all providers."""
        self._by_name = dict(by_name)

    def all(self) -> tuple[ProviderEntry, ...]:
        """List all providers, the default one first."""
        return tuple(self._by_name.values())

    def find(self, name: str) -> ProviderEntry | None:
        """Return a provider by name, or None; no name means the first one."""
        if not name:
            return next(iter(self._by_name.values()), None)
        return self._by_name.get(name)

    def get(self, name: str) -> ProviderEntry:
        """Return a provider by name; no name means the first one.

        Raises:
            ConflictError: no provider is configured.
            NotFoundError: there is no provider of this name.
        """
        if not self._by_name:
            raise ConflictError("no sign-in provider is configured")
        offer = self.find(name)
        if offer is None:
            raise NotFoundError("no such sign-in provider")
        return offer
