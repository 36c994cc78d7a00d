"""Whether a person may enter, by the rules of now and what their last login said. Asks no provider."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from services.auth.model.node import KnownLink
from services.auth.model.node_login import NodeLogin
from services.auth.model.oidc.entry import check_entry
from services.auth.model.oidc.person import Person
from services.auth.model.oidc.refusal import Reason, SignInError
from services.auth.model.rights import SUSPENDED
from services.auth.store import Dossiers, NodeLoginStore
from services.auth.usecases.offers import Offer, Offers
from services.shared.ids import UserId

PROVIDER_UNKNOWN = "provider-unknown"
NEVER_SIGNED_IN = "never-signed-in"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one identity may enter."""

    link: KnownLink
    provider: str = ""
    """Its name in the configuration; empty for the default, and for none."""
    reason: str = ""
    """A stable code; empty: it may."""
    text: str = ""


class Verdicts:
    """Judges identities of one tailnet."""

    def __init__(self, offers: Offers, people: Dossiers, node_logins: NodeLoginStore) -> None:
        self._offers = offers
        self._node_logins = node_logins
        self._people = people

    async def of(self, user_id: UserId) -> tuple[tuple[Verdict, ...], tuple[NodeLogin, ...]]:
        """One for each identity, the one that signed in last first, and their sign-ins that nodes are in by.

        Raises:
            NotFoundError: there is no such user.
        """
        user, links = await self._people.dossier(user_id)
        found = [login for link in links for login in await self._node_logins.of_identity(link.issuer, link.subject)]
        return tuple(self._judge(link, user.suspended) for link in links), tuple(found)

    def _judge(self, link: KnownLink, suspended: bool) -> Verdict:
        offer = next((one for one in self._offers.all() if _same_issuer(one, link.issuer)), None)
        if offer is None:
            return Verdict(link, "", PROVIDER_UNKNOWN, "no provider of the configuration has this issuer")
        if suspended:
            return Verdict(link, offer.name, Reason.USER_SUSPENDED.value, SUSPENDED)
        if not link.signed_in:
            return Verdict(link, offer.name, NEVER_SIGNED_IN, "this identity has not signed in yet")
        person = Person(
            link.issuer, link.subject, email=link.email, email_verified=bool(link.email), groups=link.groups
        )
        try:
            check_entry(person, offer.prove.settings.entry)
        except SignInError as error:
            return Verdict(link, offer.name, error.reason.value, str(error))
        return Verdict(link, offer.name)


def _same_issuer(offer: Offer, issuer: str) -> bool:
    """Whether a provider's tokens can carry this issuer: its own, or its origin or App ID where those are accepted."""
    ours, theirs = urlsplit(offer.issuer.rstrip("/")), urlsplit(issuer.rstrip("/"))
    alike = ours.path == theirs.path or not ours.path or not theirs.path
    return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc) and alike
