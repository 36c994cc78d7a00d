"""Stubs of the services that administration calls use, and the lookups that several calls share."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import grpc.aio
from smartscale.auth.v1 import audit_pb2_grpc, auth_pb2, auth_pb2_grpc
from smartscale.policy.v1 import policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import user_pb2 as user_types

from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused


class Services:
    """Stubs of registry, auth and policy."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self.registry = registry_pb2_grpc.RegistryServiceStub(channels["registry"])
        self.auth = auth_pb2_grpc.AuthServiceStub(channels["auth"])
        self.audit = audit_pb2_grpc.AuditServiceStub(channels["auth"])
        self.policy = policy_pb2_grpc.PolicyServiceStub(channels["policy"])

    async def users(self, call: CallContext) -> dict[int, user_types.User]:
        """Return all users by id."""
        answer = await call.ask(self.registry.ListUsers, registry_pb2.ListUsersRequest())
        return {user.id: user for user in answer.users}

    async def keys(self, call: CallContext) -> dict[int, auth_pb2.PreAuthKey]:
        """Return all pre-auth keys by id, masked."""
        answer = await call.ask(self.auth.ListPreAuthKeys, auth_pb2.ListPreAuthKeysRequest())
        return {key.id: key for key in answer.pre_auth_keys}

    async def user_named(self, call: CallContext, name: str) -> user_types.User:
        """Find one user by name, else by e-mail address, else by id in decimal digits.

        Raises:
            Refused: no user matches, or several do.
        """
        if not name:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "user: must not be empty")
        users = (await self.users(call)).values()
        found = [user for user in users if user.name == name] or [user for user in users if user.email == name]
        if not found and name.isascii() and name.isdigit():
            found = [user for user in users if user.id == int(name)]
        if len(found) != 1:
            text = "user not found" if not found else "user: several users have this e-mail address; give the id"
            raise Refused(grpc.StatusCode.NOT_FOUND if not found else grpc.StatusCode.FAILED_PRECONDITION, text)
        return found[0]
