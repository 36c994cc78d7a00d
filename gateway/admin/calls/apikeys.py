"""headscale.v1: API keys. Only the answer to their creation has the secret."""

from __future__ import annotations

import grpc
from headscale.v1 import apikey_pb2
from smartscale.auth.v1 import auth_pb2

from gateway.admin.calls import convert
from gateway.admin.calls.expirations import expiration_of
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from gateway.admin.services import Services


class ApiKeys:
    """Calls about API keys."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def CreateApiKey(
        self, request: apikey_pb2.CreateApiKeyRequest, call: CallContext
    ) -> apikey_pb2.CreateApiKeyResponse:
        """Create an API key; only this answer has its secret."""
        answer = await call.ask(
            self._services.auth.CreateApiKey, auth_pb2.CreateApiKeyRequest(expiration=expiration_of(request))
        )
        return apikey_pb2.CreateApiKeyResponse(api_key=answer.key)

    async def ExpireApiKey(
        self, request: apikey_pb2.ExpireApiKeyRequest, call: CallContext
    ) -> apikey_pb2.ExpireApiKeyResponse:
        """Expire an API key now."""
        _one_of(request)
        await call.ask(
            self._services.auth.ExpireApiKey,
            auth_pb2.ExpireApiKeyRequest(prefix=request.prefix, id=request.id),
        )
        return apikey_pb2.ExpireApiKeyResponse()

    async def DeleteApiKey(
        self, request: apikey_pb2.DeleteApiKeyRequest, call: CallContext
    ) -> apikey_pb2.DeleteApiKeyResponse:
        """Delete an API key."""
        _one_of(request)
        await call.ask(
            self._services.auth.DeleteApiKey,
            auth_pb2.DeleteApiKeyRequest(prefix=request.prefix, id=request.id),
        )
        return apikey_pb2.DeleteApiKeyResponse()

    async def ListApiKeys(
        self, request: apikey_pb2.ListApiKeysRequest, call: CallContext
    ) -> apikey_pb2.ListApiKeysResponse:
        """List API keys, masked."""
        answer = await call.ask(self._services.auth.ListApiKeys, auth_pb2.ListApiKeysRequest())
        return apikey_pb2.ListApiKeysResponse(api_keys=[convert.api_key(key) for key in answer.api_keys])


def _one_of(request: apikey_pb2.ExpireApiKeyRequest | apikey_pb2.DeleteApiKeyRequest) -> None:
    if bool(request.prefix) == bool(request.id):
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "prefix: give either the prefix or the id")
