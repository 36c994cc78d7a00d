"""Stubs of the services that administration calls use, and the lookups that several calls share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import grpc
import grpc.aio
from smartscale.auth.v1 import audit_pb2_grpc, auth_pb2, auth_pb2_grpc
from smartscale.policy.v1 import policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import user_pb2 as user_types

from gateway.admin.checks import MAX_ID
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused

NodeName = Literal["given_name", "stable_id"]
"""What a text names a node by, where it is no id: administrators use the given name, /api/v2 the stable id."""


class Services:
    """Stubs of registry, auth and policy."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self.registry = registry_pb2_grpc.RegistryServiceStub(channels["registry"])
        self.auth = auth_pb2_grpc.AuthServiceStub(channels["auth"])
        self.audit = audit_pb2_grpc.AuditServiceStub(channels["auth"])
        self.policy = policy_pb2_grpc.PolicyServiceStub(channels["policy"])

    async def node_named(self, call: CallContext, text: str, names: NodeName) -> registry_pb2.GetNodeResponse:
        """Find one node by its id in decimal digits, else by its given name or its stable id.

        Raises:
            grpc.aio.AioRpcError: NOT_FOUND when there is none.
        """
        if text.isascii() and text.isdigit() and len(text) < 20:
            try:
                return await call.ask(self.registry.GetNode, registry_pb2.GetNodeRequest(id=min(int(text), MAX_ID)))
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
        if names == "given_name":
            wanted = registry_pb2.GetNodeRequest(given_name=text)
        else:
            wanted = registry_pb2.GetNodeRequest(stable_id=text)
        return await call.ask(self.registry.GetNode, wanted)

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
