"""Keys of all kinds by their public ids, and what a credential of the administration API permits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from services.auth.model.api_key import ApiKey
from services.auth.model.errors import ConflictError, NotFoundError
from services.auth.model.oauth import OAuthClient
from services.auth.model.preauth_key import PreAuthKey
from services.auth.model.secret import KeyKind
from services.auth.usecases.api_keys import ApiKeys
from services.auth.usecases.oauth import OAuthClients
from services.auth.usecases.preauth_keys import PreAuthKeys
from services.shared.scopes import ALL

AnyKey: TypeAlias = "PreAuthKey | ApiKey | OAuthClient"


@dataclass(frozen=True, slots=True)
class CredentialPermissions:
    """What a proven credential permits."""

    kind: KeyKind
    """API, or TOKEN."""
    id: str
    """The key's id, or that of the token's client."""
    scopes: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def limited_to_tags(self) -> bool:
        """Return whether it gives only tags of its own and those that they own."""
        return ALL not in self.scopes and (bool(self.tags) or self.kind is KeyKind.TOKEN)


class Credentials:
    """The keys of one tailnet, of all kinds."""

    def __init__(self, preauth_keys: PreAuthKeys, api_keys: ApiKeys, oauth: OAuthClients) -> None:
        self.preauth_keys = preauth_keys
        self.api_keys = api_keys
        self.oauth = oauth

    async def list(self) -> tuple[AnyKey, ...]:
        """List all keys, ordered by kind and age."""
        return (*await self.preauth_keys.list(None), *await self.api_keys.list(), *await self.oauth.list())

    async def find(self, key_id: str) -> AnyKey:
        """Return the key with this public id.

        Raises:
            NotFoundError: there is none.
        """
        found = (
            await self.oauth.find(key_id) or await self.api_keys.find(key_id) or await self.preauth_keys.find(key_id)
        )
        if found is None:
            raise NotFoundError("key not found")
        return found

    async def update(
        self, key_id: str, scopes: tuple[str, ...], tags: tuple[str, ...], description: str
    ) -> OAuthClient:
        """Replace scopes, tags and description of an OAuth client.

        Raises:
            NotFoundError: there is no such key.
            ConflictError: it is a key of another kind.
            InvalidInputError: an unknown scope, a malformed tag, or missing tags.
        """
        if not isinstance(await self.find(key_id), OAuthClient):
            raise ConflictError("only OAuth clients can be changed; delete the key and create another")
        return await self.oauth.update(key_id, scopes, tags, description)

    async def delete(self, key_id: str) -> None:
        """Delete a key.

        Raises:
            NotFoundError: there is none.
        """
        match await self.find(key_id):
            case OAuthClient(id=client_id):
                if not await self.oauth.delete(client_id):
                    raise NotFoundError("key not found")
            case ApiKey(id=number):
                await self.api_keys.delete(number, "")
            case PreAuthKey(id=number):
                await self.preauth_keys.delete(number)

    async def verify(self, unverified: str) -> tuple[CredentialPermissions, ApiKey | None]:
        """Return what an API key or an access token permits, and the record of an API key.

        Raises:
            UnauthenticatedError: it is unknown, expired or malformed.
        """
        if unverified.startswith(KeyKind.TOKEN.value):
            token = await self.oauth.verify(unverified)
            return CredentialPermissions(KeyKind.TOKEN, token.client_id, token.scopes, token.tags), None
        key = await self.api_keys.verify(unverified)
        return CredentialPermissions(KeyKind.API, key.prefix, key.scopes, key.tags), key
