"""Evaluates the current entry rules for an identity as its last sign-in stored it. Calls no provider."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from services.auth.model.node import KnownLink
from services.auth.model.node_login import NodeLogin
from services.auth.model.oidc.entry import check_entry
from services.auth.model.oidc.identity import ProviderIdentity
from services.auth.model.oidc.refusal import RefusalReason, SignInError
from services.auth.model.rights import SUSPENDED
from services.auth.store.logins import NodeLoginStore
from services.auth.store.registry import UserDetails
from services.auth.usecases.provider_entries import ProviderEntries, ProviderEntry
from services.shared.ids import UserId

PROVIDER_UNKNOWN = "provider-unknown"
NEVER_SIGNED_IN = "never-signed-in"


@dataclass(frozen=True, slots=True)
class AccessEvaluation:
    """The evaluation of one identity."""

    link: KnownLink
    provider: str = ""
    """The provider's name in the configuration; empty: the default one, or none."""
    reason: str = ""
    """A stable code; empty: the identity may enter."""
    text: str = ""


class EvaluateAccess:
    """Use case of one tailnet's identities."""

    def __init__(self, offers: ProviderEntries, people: UserDetails, node_logins: NodeLoginStore) -> None:
        self._offers = offers
        self._node_logins = node_logins
        self._people = people

    async def of(self, user_id: UserId) -> tuple[tuple[AccessEvaluation, ...], tuple[NodeLogin, ...]]:
        """Evaluate each identity of a user, the latest sign-in first, and list the logins that admitted nodes.

        Raises:
            NotFoundError: there is no such user.
        """
        user, links = await self._people.user_details(user_id)
        found = [login for link in links for login in await self._node_logins.of_identity(link.issuer, link.subject)]
        return tuple(self._evaluate(link, user.suspended) for link in links), tuple(found)

    def _evaluate(self, link: KnownLink, suspended: bool) -> AccessEvaluation:
        offer = next((one for one in self._offers.all() if _same_issuer(one, link.issuer)), None)
        if offer is None:
            return AccessEvaluation(link, "", PROVIDER_UNKNOWN, "no provider of the configuration has this issuer")
        if suspended:
            return AccessEvaluation(link, offer.name, RefusalReason.USER_SUSPENDED.value, SUSPENDED)
        if not link.signed_in:
            return AccessEvaluation(link, offer.name, NEVER_SIGNED_IN, "this identity has not signed in yet")
        person = ProviderIdentity(
            link.issuer, link.subject, email=link.email, email_verified=bool(link.email), groups=link.groups
        )
        try:
            check_entry(person, offer.verify_sign_in.settings.entry)
        except SignInError as error:
            return AccessEvaluation(link, offer.name, error.reason.value, str(error))
        return AccessEvaluation(link, offer.name)


def _same_issuer(offer: ProviderEntry, issuer: str) -> bool:
    """Return whether a provider's tokens can have this issuer: the configured one, or its origin or App ID."""
    ours, theirs = urlsplit(offer.issuer.rstrip("/")), urlsplit(issuer.rstrip("/"))
    alike = ours.path == theirs.path or not ours.path or not theirs.path
    return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc) and alike
