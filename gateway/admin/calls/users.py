"""headscale.v1: users."""

from __future__ import annotations

from headscale.v1 import user_pb2
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin.calls import convert
from gateway.admin.calls.legacy_ids import legacy_user_id
from gateway.admin.context import CallContext
from gateway.admin.refusal import ignore_not_found
from gateway.admin.services import Services


class Users:
    """Calls about users."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def CreateUser(self, request: user_pb2.CreateUserRequest, call: CallContext) -> user_pb2.CreateUserResponse:
        """Create a user."""
        answer = await call.ask(
            self._services.registry.CreateUser,
            registry_pb2.CreateUserRequest(
                name=request.name,
                display_name=request.display_name,
                email=request.email,
                profile_pic_url=request.picture_url,
            ),
        )
        return user_pb2.CreateUserResponse(user=convert.user(answer.user))

    async def RenameUser(self, request: user_pb2.RenameUserRequest, call: CallContext) -> user_pb2.RenameUserResponse:
        """Rename a user."""
        answer = await call.ask(
            self._services.registry.RenameUser,
            registry_pb2.RenameUserRequest(
                id=await legacy_user_id(self._services, call, request, request.old_id), new_name=request.new_name
            ),
        )
        return user_pb2.RenameUserResponse(user=convert.user(answer.user))

    async def DeleteUser(self, request: user_pb2.DeleteUserRequest, call: CallContext) -> user_pb2.DeleteUserResponse:
        """Delete a user without nodes, and then their pre-auth keys."""
        user_id = await legacy_user_id(self._services, call, request, request.id)
        await call.ask(self._services.registry.DeleteUser, registry_pb2.DeleteUserRequest(id=user_id))
        mine = await call.ask(self._services.auth.ListPreAuthKeys, auth_pb2.ListPreAuthKeysRequest(user_id=user_id))
        for key in mine.pre_auth_keys:
            with ignore_not_found():
                await call.ask(self._services.auth.DeletePreAuthKey, auth_pb2.DeletePreAuthKeyRequest(id=key.id))
        return user_pb2.DeleteUserResponse()

    async def ListUsers(self, request: user_pb2.ListUsersRequest, call: CallContext) -> user_pb2.ListUsersResponse:
        """List users, narrowed by the filters that are set."""
        answer = await call.ask(
            self._services.registry.ListUsers,
            registry_pb2.ListUsersRequest(id=request.id, name=request.name, email=request.email),
        )
        return user_pb2.ListUsersResponse(users=[convert.user(user) for user in answer.users])
