"""smartscale.admin.v1: keys of all kinds. A caller creates none that may do more than it may itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import grpc
from smartscale.admin.v1 import key_pb2 as pb
from smartscale.auth.v1 import auth_pb2
from smartscale.types.v1 import key_pb2 as types

from gateway.admin.calls.tags import check_tags
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused, invalid
from gateway.admin.services import Services
from services.shared.scopes import READ, UnknownScopeError, grants, read_scopes

_SCOPES = {
    types.KEY_KIND_AUTH: "auth_keys",
    types.KEY_KIND_API: "api_access_tokens",
    types.KEY_KIND_OAUTH_CLIENT: "oauth_keys",
}


class Keys:
    """Calls about keys of all kinds."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def CreateKey(self, request: pb.CreateKeyRequest, call: CallContext) -> pb.CreateKeyResponse:
        """Create a key; only this answer has its secret."""
        key = request.key
        if key.kind not in _SCOPES:
            raise invalid("kind", "name the kind of the key")
        call.require(_SCOPES[key.kind])
        if key.kind == types.KEY_KIND_AUTH:
            if key.scopes:
                raise invalid("scopes", "a key that admits devices has none")
            if call.tags is not None and key.user_id:
                raise Refused(grpc.StatusCode.PERMISSION_DENIED, "user: this credential belongs to no user")
            await check_tags(self._services, call, key.tags)
            if not key.user_id and not key.tags:
                raise invalid("tags", "a key that admits devices needs a user or at least one tag")
        else:
            await self._check_rights(call, key.scopes, key.tags)
        answer = await call.ask(
            self._services.auth.CreateKey, auth_pb2.CreateKeyRequest(key=key, lifetime=request.lifetime)
        )
        return pb.CreateKeyResponse(key=answer.key, secret=answer.secret)

    async def ListKeys(self, request: pb.ListKeysRequest, call: CallContext) -> pb.ListKeysResponse:
        """List the keys that the caller may read."""
        kinds = [kind for kind in request.kinds or _SCOPES if kind in _SCOPES]
        readable = [kind for kind in kinds if grants(call.granted, _SCOPES[kind] + READ)]
        if not readable:
            call.require(*(_SCOPES[kind] + READ for kind in kinds))
        answer = await call.ask(self._services.auth.ListKeys, auth_pb2.ListKeysRequest(kinds=readable))
        return pb.ListKeysResponse(keys=answer.keys)

    async def GetKey(self, request: pb.GetKeyRequest, call: CallContext) -> pb.GetKeyResponse:
        """Return one key."""
        return pb.GetKeyResponse(key=await self._find(request.id, call, READ))

    async def UpdateKey(self, request: pb.UpdateKeyRequest, call: CallContext) -> pb.UpdateKeyResponse:
        """Change an OAuth client."""
        await self._find(request.id, call)
        await self._check_rights(call, request.scopes, request.tags)
        wanted = auth_pb2.UpdateKeyRequest(
            id=request.id, description=request.description, scopes=request.scopes, tags=request.tags
        )
        return pb.UpdateKeyResponse(key=(await call.ask(self._services.auth.UpdateKey, wanted)).key)

    async def DeleteKey(self, request: pb.DeleteKeyRequest, call: CallContext) -> pb.DeleteKeyResponse:
        """Delete a key."""
        await self._find(request.id, call)
        await call.ask(self._services.auth.DeleteKey, auth_pb2.DeleteKeyRequest(id=request.id))
        return pb.DeleteKeyResponse()

    async def _find(self, key_id: str, call: CallContext, access: str = "") -> types.Key:
        answer = await call.ask(self._services.auth.GetKey, auth_pb2.GetKeyRequest(id=key_id))
        call.require(_SCOPES[answer.key.kind] + access)
        found: types.Key = answer.key
        return found

    async def _check_rights(self, call: CallContext, scopes: Iterable[str], tags: Sequence[str]) -> None:
        try:
            wanted = read_scopes(scopes)
        except UnknownScopeError as error:
            raise invalid("scopes", f"there is no scope {str(error)!r}") from None
        lacking = [scope for scope in wanted if not grants(call.granted, scope)]
        if lacking:
            text = f"this credential cannot grant {' '.join(lacking)}, which it lacks"
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, text)
        if tags:
            await check_tags(self._services, call, tags)
