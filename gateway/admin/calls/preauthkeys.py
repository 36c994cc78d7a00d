"""headscale.v1: pre-auth keys. Only the answer to their creation has the secret."""

from __future__ import annotations

import grpc
from headscale.v1 import preauthkey_pb2
from smartscale.auth.v1 import auth_pb2

from gateway.admin.calls import convert, legacy_requests
from gateway.admin.calls.expirations import expiration_of
from gateway.admin.calls.legacy_ids import legacy_user_id
from gateway.admin.calls.tags import check_tags
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from gateway.admin.services import Services


class PreAuthKeys:
    """Calls about pre-auth keys."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def CreatePreAuthKey(
        self, request: preauthkey_pb2.CreatePreAuthKeyRequest, call: CallContext
    ) -> preauthkey_pb2.CreatePreAuthKeyResponse:
        """Create a pre-auth key; only this answer has its secret."""
        users = await self._services.users(call)
        user_id = await legacy_user_id(self._services, call, request, request.user)
        if user_id and user_id not in users:
            raise Refused(grpc.StatusCode.NOT_FOUND, "user not found")
        if call.tags is not None and user_id:
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, "user: this credential belongs to no user")
        await check_tags(self._services, call, request.acl_tags)
        if not user_id and not request.acl_tags:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "user: a pre-auth key needs a user or acl_tags")
        answer = await call.ask(
            self._services.auth.CreatePreAuthKey,
            auth_pb2.CreatePreAuthKeyRequest(
                user_id=user_id,
                reusable=request.reusable,
                ephemeral=request.ephemeral,
                expiration=expiration_of(request),
                tags=request.acl_tags,
            ),
        )
        return preauthkey_pb2.CreatePreAuthKeyResponse(pre_auth_key=convert.pre_auth_key(answer.pre_auth_key, users))

    async def ExpirePreAuthKey(
        self, request: preauthkey_pb2.ExpirePreAuthKeyRequest, call: CallContext
    ) -> preauthkey_pb2.ExpirePreAuthKeyResponse:
        """Expire a pre-auth key now."""
        key_text = legacy_requests.text(request, 2)
        key_id = request.id if key_text is None else await self._key_id(call, request, key_text)
        await call.ask(self._services.auth.ExpirePreAuthKey, auth_pb2.ExpirePreAuthKeyRequest(id=key_id))
        return preauthkey_pb2.ExpirePreAuthKeyResponse()

    async def DeletePreAuthKey(
        self, request: preauthkey_pb2.DeletePreAuthKeyRequest, call: CallContext
    ) -> preauthkey_pb2.DeletePreAuthKeyResponse:
        """Delete a pre-auth key."""
        await call.ask(self._services.auth.DeletePreAuthKey, auth_pb2.DeletePreAuthKeyRequest(id=request.id))
        return preauthkey_pb2.DeletePreAuthKeyResponse()

    async def ListPreAuthKeys(
        self, request: preauthkey_pb2.ListPreAuthKeysRequest, call: CallContext
    ) -> preauthkey_pb2.ListPreAuthKeysResponse:
        """List pre-auth keys, masked."""
        users, keys = await self._services.users(call), await self._services.keys(call)
        if user_id := legacy_requests.integer(request, 1) or await legacy_user_id(self._services, call, request, 0):
            keys = {number: key for number, key in keys.items() if key.user_id == user_id}
        return preauthkey_pb2.ListPreAuthKeysResponse(
            pre_auth_keys=[convert.pre_auth_key(key, users) for _, key in sorted(keys.items())]
        )

    async def _key_id(self, call: CallContext, request: preauthkey_pb2.ExpirePreAuthKeyRequest, text: str) -> int:
        """Find the key that an older client names by its text, with the user in the field of today's id."""
        user_id = await legacy_user_id(self._services, call, request, request.id)
        for key in (await self._services.keys(call)).values():
            if text.startswith(key.key.removesuffix("***")) and user_id in (0, key.user_id):
                return key.id
        raise Refused(grpc.StatusCode.NOT_FOUND, "pre-auth key not found")
