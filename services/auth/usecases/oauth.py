"""OAuth clients: created, changed, deleted; their access tokens: issued and verified."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace

from services.auth.model.errors import InvalidInputError, NotFoundError, UnauthenticatedError
from services.auth.model.oauth import TOKEN_LIFETIME, AccessToken, OAuthClient
from services.auth.model.secret import KeyKind, mint, read
from services.auth.model.tag import read_tags
from services.auth.store.oauth import OAuthStore
from services.shared.runtime.clock import Clock
from services.shared.scopes import ALL, UnknownScopeError, gives_tags, grants, read_scopes
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_INVALID_CLIENT = "the client secret is unknown, or its client was deleted"


class OAuthClients:
    """OAuth clients of one tailnet."""

    def __init__(self, store: OAuthStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(
        self, scopes: Iterable[str], tags: Iterable[str], description: str, creator: str
    ) -> tuple[OAuthClient, str]:
        """Create a client. The second value is its secret, which is not stored.

        Raises:
            InvalidInputError: no or an unknown scope, a malformed tag, or no tag with a scope that gives tags.
        """
        wanted, given = read_rights(scopes, tags, tagged=True)
        while True:
            secret = mint(KeyKind.CLIENT, secrets.token_bytes(48))
            client = OAuthClient(secret.prefix, wanted, given, description, creator, self._clock.now())
            if await self._store.add(client, secret.digest):
                log.info("oauth client created", client_id=client.id, scopes=" ".join(wanted), tags=",".join(given))
                return client, secret.text

    async def list(self) -> tuple[OAuthClient, ...]:
        """List all clients."""
        return await self._store.list()

    async def find(self, client_id: str) -> OAuthClient | None:
        """Return a client, or None."""
        found = await self._store.find(client_id)
        return found[0] if found else None

    async def update(self, client_id: str, scopes: Iterable[str], tags: Iterable[str], description: str) -> OAuthClient:
        """Replace scopes, tags and description; issued tokens keep what the client still has.

        Raises:
            InvalidInputError: as for `create`.
            NotFoundError: there is no such client.
        """
        wanted, given = read_rights(scopes, tags, tagged=True)
        client = await self.find(client_id)
        if client is None:
            raise NotFoundError("key not found")
        changed = replace(client, scopes=wanted, tags=given, description=description, updated_at=self._clock.now())
        if not await self._store.update(changed):
            raise NotFoundError("key not found")
        log.info("oauth client updated", client_id=client_id, scopes=" ".join(wanted), tags=",".join(given))
        return changed

    async def delete(self, client_id: str) -> bool:
        """Delete a client with its tokens. Returns False if there is none."""
        deleted = await self._store.delete(client_id)
        if deleted:
            log.info("oauth client deleted", client_id=client_id)
        return deleted

    async def issue(
        self, unverified_secret: str, scopes: Iterable[str], tags: Iterable[str]
    ) -> tuple[AccessToken, str]:
        """Issue a token for what is asked, or for all that the client has. The second value is its text.

        Raises:
            UnauthenticatedError: the secret is unknown or malformed, with the same text.
            InvalidInputError: the client lacks a scope or a tag.
        """
        text = read(KeyKind.CLIENT, unverified_secret)
        found = await self._store.find(text.prefix) if text else None
        if text is None or not text.matches(found[1] if found else None) or found is None:
            raise UnauthenticatedError(_INVALID_CLIENT)
        client, now = found[0], self._clock.now()
        wanted, given = _asked(client, tuple(scopes), tuple(tags))
        while True:
            secret = mint(KeyKind.TOKEN, secrets.token_bytes(48))
            token = AccessToken(secret.prefix, client.id, wanted, given, now, now + TOKEN_LIFETIME)
            if await self._store.add_token(token, secret.digest):
                break
        if client.wants_touch(now):
            await self._store.touch(client.id, now)
        log.info("access token issued", client_id=client.id, scopes=" ".join(wanted))
        return token, secret.text

    async def verify(self, unverified_token: str) -> AccessToken:
        """Return the token of a text with what its client still has, and record the use once a minute.

        Raises:
            UnauthenticatedError: unknown, expired or malformed, with the same text.
        """
        text = read(KeyKind.TOKEN, unverified_token)
        found = await self._store.token(text.prefix) if text else None
        now = self._clock.now()
        if text is None or not text.matches(found[1] if found else None) or found is None:
            raise UnauthenticatedError("invalid access token")
        token, _, client = found
        if token.expires_at <= now:
            raise UnauthenticatedError("invalid access token")
        if client.wants_touch(now):
            await self._store.touch(client.id, now)
        return token.under(client)


def read_rights(scopes: Iterable[str], tags: Iterable[str], *, tagged: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the scopes and tags of a credential; `tagged` requires tags with scopes that give tags.

    Raises:
        InvalidInputError: no or an unknown scope, a malformed tag, or no tag with a scope that gives tags.
    """
    try:
        wanted = read_scopes(scopes)
    except UnknownScopeError as error:
        raise InvalidInputError(f"scopes: there is no scope {str(error)!r}") from None
    if not wanted:
        raise InvalidInputError("scopes: name at least one, such as all or devices:core:read")
    given = read_tags(tags)
    if tagged and gives_tags(wanted) and not given:
        raise InvalidInputError("tags: a credential with the scope auth_keys or devices:core needs at least one tag")
    return wanted, given


def _asked(
    client: OAuthClient, scopes: tuple[str, ...], tags: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what a token gets of the scopes and tags that are asked for; none asked: all that the client has."""
    wanted, given = read_rights(scopes or client.scopes, tags or client.tags, tagged=False)
    lacking = [scope for scope in wanted if not grants(client.scopes, scope)]
    if lacking:
        raise InvalidInputError(f"scope: the client lacks {' '.join(lacking)}")
    foreign = [] if grants(client.scopes, ALL) else [tag for tag in given if tag not in client.tags]
    if foreign:
        raise InvalidInputError(f"tags: the client lacks {' '.join(foreign)}")
    return wanted, given
