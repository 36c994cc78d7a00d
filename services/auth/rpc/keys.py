"""The RPCs about keys of all kinds and about access tokens."""

from __future__ import annotations

from datetime import timedelta

from grpc.aio import ServicerContext
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.types.v1 import key_pb2 as types

from services.auth.model.api_key import ApiKey
from services.auth.model.errors import InvalidInputError
from services.auth.model.oauth import TOKEN_LIFETIME, OAuthClient
from services.auth.model.preauth_key import DEFAULT_LIFETIME as PREAUTH_LIFETIME
from services.auth.model.secret import KeyKind
from services.auth.rpc.errors import STATUS
from services.auth.rpc.reading import read_id, read_optional, read_words
from services.auth.rpc.writing import instant, optional
from services.auth.usecases.credentials import AnyKey, CredentialPermissions, Credentials
from services.shared.ids import UserId
from services.shared.rpc import answers
from services.shared.rpc.caller import caller_of

MAX_DESCRIPTION = 200


@answers(STATUS)
class KeysServicer:
    """The part of the servicer that answers them."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def CreateKey(
        self, request: pb.CreateKeyRequest, context: ServicerContext[pb.CreateKeyRequest, pb.CreateKeyResponse]
    ) -> pb.CreateKeyResponse:
        """Create a key of any kind."""
        caller = caller_of(context)
        creator = caller.actor if caller is not None else ""
        lifetime = timedelta(seconds=request.lifetime) if request.lifetime else PREAUTH_LIFETIME
        key, secret = await self._create(request.key, lifetime, creator)
        return pb.CreateKeyResponse(key=key_message(key), secret=secret)

    async def _create(self, wanted: types.Key, lifetime: timedelta, creator: str) -> tuple[AnyKey, str]:
        description = read_words("description", wanted.description, MAX_DESCRIPTION)
        expiration = read_optional(wanted, "expires_at")
        if wanted.kind == types.KEY_KIND_AUTH:
            return await self._credentials.preauth_keys.create(
                UserId(read_id(wanted.user_id)),
                reusable=wanted.reusable,
                ephemeral=wanted.ephemeral,
                preauthorized=wanted.preauthorized,
                expiration=expiration,
                lifetime=lifetime,
                tags=wanted.tags,
                description=description,
                creator=creator,
                ipv4=wanted.ipv4,
                ipv6=wanted.ipv6,
            )
        if wanted.ipv4 or wanted.ipv6:
            raise InvalidInputError("ipv4: only a key that admits nodes gives addresses")
        if wanted.kind == types.KEY_KIND_API:
            return await self._credentials.api_keys.create(
                expiration, wanted.scopes, wanted.tags, description=description, creator=creator
            )
        if wanted.kind != types.KEY_KIND_OAUTH_CLIENT:
            raise InvalidInputError("kind: name the kind of the key")
        if expiration is not None:
            raise InvalidInputError("expires_at: OAuth clients do not expire; delete the client instead")
        return await self._credentials.oauth.create(wanted.scopes, wanted.tags, description, creator)

    async def ListKeys(
        self, request: pb.ListKeysRequest, context: ServicerContext[pb.ListKeysRequest, pb.ListKeysResponse]
    ) -> pb.ListKeysResponse:
        """List keys."""
        found = map(key_message, await self._credentials.list())
        return pb.ListKeysResponse(keys=[key for key in found if not request.kinds or key.kind in request.kinds])

    async def GetKey(
        self, request: pb.GetKeyRequest, context: ServicerContext[pb.GetKeyRequest, pb.GetKeyResponse]
    ) -> pb.GetKeyResponse:
        """Return one key."""
        return pb.GetKeyResponse(key=key_message(await self._credentials.find(request.id)))

    async def UpdateKey(
        self, request: pb.UpdateKeyRequest, context: ServicerContext[pb.UpdateKeyRequest, pb.UpdateKeyResponse]
    ) -> pb.UpdateKeyResponse:
        """Change an OAuth client."""
        description = read_words("description", request.description, MAX_DESCRIPTION)
        changed = await self._credentials.update(request.id, tuple(request.scopes), tuple(request.tags), description)
        return pb.UpdateKeyResponse(key=key_message(changed))

    async def DeleteKey(
        self, request: pb.DeleteKeyRequest, context: ServicerContext[pb.DeleteKeyRequest, pb.DeleteKeyResponse]
    ) -> pb.DeleteKeyResponse:
        """Delete a key."""
        await self._credentials.delete(request.id)
        return pb.DeleteKeyResponse()

    async def IssueAccessToken(
        self,
        request: pb.IssueAccessTokenRequest,
        context: ServicerContext[pb.IssueAccessTokenRequest, pb.IssueAccessTokenResponse],
    ) -> pb.IssueAccessTokenResponse:
        """Issue an access token."""
        token, text = await self._credentials.oauth.issue(request.secret, request.scopes, request.tags)
        seconds = int(TOKEN_LIFETIME.total_seconds())
        return pb.IssueAccessTokenResponse(token=text, expires_in=seconds, scopes=token.scopes)


def key_message(key: AnyKey) -> types.Key:
    """Return a key without its secret."""
    if isinstance(key, OAuthClient):
        return types.Key(
            id=key.id,
            kind=types.KEY_KIND_OAUTH_CLIENT,
            description=key.description,
            scopes=key.scopes,
            tags=key.tags,
            created_at=instant(key.created_at),
            updated_at=optional(key.updated_at),
            last_used_at=optional(key.last_used_at),
            creator=key.creator,
        )
    if isinstance(key, ApiKey):
        return types.Key(
            id=key.prefix,
            kind=types.KEY_KIND_API,
            description=key.description,
            scopes=key.scopes,
            tags=key.tags,
            created_at=instant(key.created_at),
            expires_at=optional(key.expiration),
            last_used_at=optional(key.last_seen),
            creator=key.creator,
        )
    return types.Key(
        id=key.prefix,
        kind=types.KEY_KIND_AUTH,
        description=key.description,
        tags=key.tags,
        reusable=key.reusable,
        ephemeral=key.ephemeral,
        preauthorized=key.preauthorized,
        user_id=key.user_id,
        created_at=instant(key.created_at),
        expires_at=optional(key.expiration),
        used=key.used,
        creator=key.creator,
        ipv4=key.ipv4,
        ipv6=key.ipv6,
    )


def grant_message(grant: CredentialPermissions) -> types.Grant:
    """Return what a credential permits."""
    kind = types.KEY_KIND_API if grant.kind is KeyKind.API else types.KEY_KIND_OAUTH_CLIENT
    return types.Grant(
        kind=kind, id=grant.id, scopes=grant.scopes, tags=grant.tags, limited_to_tags=grant.limited_to_tags
    )
