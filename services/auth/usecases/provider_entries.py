"""The providers that people may sign in at, by name; the default's name is empty. They may change while we run."""

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
    """One provider, and how its people are proven."""

    name: str
    label: str
    """What the button calls it."""
    issuer: str
    """As configured."""
    provider: IdentityProvider
    verify_sign_in: VerifySignIn


class ProviderEntries:
    """Those in use."""

    def __init__(self) -> None:
        self._by_name: Mapping[str, ProviderEntry] = {}

    def replace(self, by_name: Mapping[str, ProviderEntry]) -> None:
        """Use these from now on."""
        self._by_name = dict(by_name)

    def all(self) -> tuple[ProviderEntry, ...]:
        """Every one, the default first."""
        return tuple(self._by_name.values())

    def find(self, name: str) -> ProviderEntry | None:
        """One by name; no name means the default, which is the first."""
        if not name:
            return next(iter(self._by_name.values()), None)
        return self._by_name.get(name)

    def get(self, name: str) -> ProviderEntry:
        """The same.

        Raises:
            ConflictError: no provider is configured.
            NotFoundError: there are others, but not this one.
        """
        if not self._by_name:
            raise ConflictError("no sign-in provider is configured")
        offer = self.find(name)
        if offer is None:
            raise NotFoundError("no such sign-in provider")
        return offer
