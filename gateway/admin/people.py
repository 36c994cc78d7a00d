"""headscale.v1: users, pre-auth keys, API keys. Requests of older clients are understood where they can be."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from headscale.v1 import apikey_pb2, preauthkey_pb2, user_pb2
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin import convert, legacy_requests, stubs
from gateway.admin.stubs import DEADLINE, Refused, Services


class People:
    """The calls about who may administer and who may join."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def CreateUser(self, request: user_pb2.CreateUserRequest, context: Any) -> user_pb2.CreateUserResponse:
        """Create a user."""
        answer = await self._services.registry.CreateUser(
            registry_pb2.CreateUserRequest(
                name=request.name,
                display_name=request.display_name,
                email=request.email,
                profile_pic_url=request.picture_url,
            ),
            timeout=DEADLINE,
        )
        return user_pb2.CreateUserResponse(user=convert.user(answer.user))

    async def RenameUser(self, request: user_pb2.RenameUserRequest, context: Any) -> user_pb2.RenameUserResponse:
        """Give a user another name."""
        answer = await self._services.registry.RenameUser(
            registry_pb2.RenameUserRequest(id=await self._user_id(request, request.old_id), new_name=request.new_name),
            timeout=DEADLINE,
        )
        return user_pb2.RenameUserResponse(user=convert.user(answer.user))

    async def DeleteUser(self, request: user_pb2.DeleteUserRequest, context: Any) -> user_pb2.DeleteUserResponse:
        """Delete a user without nodes, and then the pre-auth keys that were theirs."""
        user_id = await self._user_id(request, request.id)
        await self._services.registry.DeleteUser(registry_pb2.DeleteUserRequest(id=user_id), timeout=DEADLINE)
        mine = await self._services.auth.ListPreAuthKeys(
            auth_pb2.ListPreAuthKeysRequest(user_id=user_id), timeout=DEADLINE
        )
        for key in mine.pre_auth_keys:
            with stubs.unless_gone():
                await self._services.auth.DeletePreAuthKey(
                    auth_pb2.DeletePreAuthKeyRequest(id=key.id), timeout=DEADLINE
                )
        return user_pb2.DeleteUserResponse()

    async def ListUsers(self, request: user_pb2.ListUsersRequest, context: Any) -> user_pb2.ListUsersResponse:
        """List users, narrowed by the filters that are set."""
        answer = await self._services.registry.ListUsers(
            registry_pb2.ListUsersRequest(id=request.id, name=request.name, email=request.email), timeout=DEADLINE
        )
        return user_pb2.ListUsersResponse(users=[convert.user(user) for user in answer.users])

    async def CreatePreAuthKey(
        self, request: preauthkey_pb2.CreatePreAuthKeyRequest, context: Any
    ) -> preauthkey_pb2.CreatePreAuthKeyResponse:
        """Make a pre-auth key; the answer alone has its secret."""
        users = await self._services.users()
        user_id = await self._user_id(request, request.user)
        if user_id and user_id not in users:
            raise Refused(grpc.StatusCode.NOT_FOUND, "user not found")
        if not user_id and not request.acl_tags:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "user: a pre-auth key needs a user or acl_tags")
        answer = await self._services.auth.CreatePreAuthKey(
            auth_pb2.CreatePreAuthKeyRequest(
                user_id=user_id,
                reusable=request.reusable,
                ephemeral=request.ephemeral,
                expiration=_expiration(request),
                tags=request.acl_tags,
            ),
            timeout=DEADLINE,
        )
        return preauthkey_pb2.CreatePreAuthKeyResponse(pre_auth_key=convert.pre_auth_key(answer.pre_auth_key, users))

    async def ExpirePreAuthKey(
        self, request: preauthkey_pb2.ExpirePreAuthKeyRequest, context: Any
    ) -> preauthkey_pb2.ExpirePreAuthKeyResponse:
        """End a pre-auth key now."""
        key_text = legacy_requests.text(request, 2)
        key_id = request.id if key_text is None else await self._key_id(request, key_text)
        await self._services.auth.ExpirePreAuthKey(auth_pb2.ExpirePreAuthKeyRequest(id=key_id), timeout=DEADLINE)
        return preauthkey_pb2.ExpirePreAuthKeyResponse()

    async def DeletePreAuthKey(
        self, request: preauthkey_pb2.DeletePreAuthKeyRequest, context: Any
    ) -> preauthkey_pb2.DeletePreAuthKeyResponse:
        """Forget a pre-auth key."""
        await self._services.auth.DeletePreAuthKey(auth_pb2.DeletePreAuthKeyRequest(id=request.id), timeout=DEADLINE)
        return preauthkey_pb2.DeletePreAuthKeyResponse()

    async def ListPreAuthKeys(
        self, request: preauthkey_pb2.ListPreAuthKeysRequest, context: Any
    ) -> preauthkey_pb2.ListPreAuthKeysResponse:
        """List pre-auth keys, masked."""
        users, keys = await self._services.users(), await self._services.keys()
        if user_id := legacy_requests.integer(request, 1) or await self._user_id(request, 0):
            keys = {number: key for number, key in keys.items() if key.user_id == user_id}
        return preauthkey_pb2.ListPreAuthKeysResponse(
            pre_auth_keys=[convert.pre_auth_key(key, users) for _, key in sorted(keys.items())]
        )

    async def CreateApiKey(
        self, request: apikey_pb2.CreateApiKeyRequest, context: Any
    ) -> apikey_pb2.CreateApiKeyResponse:
        """Make an API key; the answer alone has its secret."""
        answer = await self._services.auth.CreateApiKey(
            auth_pb2.CreateApiKeyRequest(expiration=_expiration(request)),
            timeout=DEADLINE,
        )
        return apikey_pb2.CreateApiKeyResponse(api_key=answer.key)

    async def ExpireApiKey(
        self, request: apikey_pb2.ExpireApiKeyRequest, context: Any
    ) -> apikey_pb2.ExpireApiKeyResponse:
        """End an API key now."""
        _one_of(request)
        await self._services.auth.ExpireApiKey(
            auth_pb2.ExpireApiKeyRequest(prefix=request.prefix, id=request.id), timeout=DEADLINE
        )
        return apikey_pb2.ExpireApiKeyResponse()

    async def DeleteApiKey(
        self, request: apikey_pb2.DeleteApiKeyRequest, context: Any
    ) -> apikey_pb2.DeleteApiKeyResponse:
        """Forget an API key."""
        _one_of(request)
        await self._services.auth.DeleteApiKey(
            auth_pb2.DeleteApiKeyRequest(prefix=request.prefix, id=request.id), timeout=DEADLINE
        )
        return apikey_pb2.DeleteApiKeyResponse()

    async def ListApiKeys(self, request: apikey_pb2.ListApiKeysRequest, context: Any) -> apikey_pb2.ListApiKeysResponse:
        """List API keys, masked."""
        answer = await self._services.auth.ListApiKeys(auth_pb2.ListApiKeysRequest(), timeout=DEADLINE)
        return apikey_pb2.ListApiKeysResponse(api_keys=[convert.api_key(key) for key in answer.api_keys])

    async def _user_id(self, request: Message, user_id: int) -> int:
        """The id that a request has, or that of the name which older clients send in its place."""
        name = legacy_requests.text(request, 1)
        return user_id if name is None else (await self._services.user_named(name)).id

    async def _key_id(self, request: preauthkey_pb2.ExpirePreAuthKeyRequest, text: str) -> int:
        """The key that older clients name by its text, with its user in the place of today's id."""
        user_id = await self._user_id(request, request.id)
        for key in (await self._services.keys()).values():
            if text.startswith(key.key.removesuffix("***")) and user_id in (0, key.user_id):
                return key.id
        raise Refused(grpc.StatusCode.NOT_FOUND, "pre-auth key not found")


def _one_of(request: apikey_pb2.ExpireApiKeyRequest | apikey_pb2.DeleteApiKeyRequest) -> None:
    if bool(request.prefix) == bool(request.id):
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "prefix: give either the prefix or the id")


def _expiration(request: Any) -> Timestamp | None:
    """When a new key shall end; None: not said. Go's zero time, which its clients send for that, says nothing."""
    if not request.HasField("expiration") or request.expiration == convert.YEAR_ONE:
        return None
    stamp: Timestamp = request.expiration
    return stamp
