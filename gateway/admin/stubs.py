"""The services that administration asks, and what several of its calls look up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import grpc
import grpc.aio
from smartscale.auth.v1 import auth_pb2, auth_pb2_grpc
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from gateway.admin import convert
from services.shared.access.posture import hostinfo_attributes

DEADLINE = 10.0


class Refused(Exception):  # noqa: N818  an answer to the caller, not a bug of ours
    """A call cannot be done as it was asked; carries its status."""

    def __init__(self, code: grpc.StatusCode, text: str, *, retry_after: int = 0) -> None:
        super().__init__(text)
        self.code = code
        self.retry_after = retry_after
        """Whole seconds after which the same call may succeed; 0: not known."""


@contextlib.contextmanager
def unless_gone() -> Iterator[None]:
    """What is gone already need not be deleted."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise


class Services:
    """Stubs of registry, auth and policy."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self.registry = registry_pb2_grpc.RegistryServiceStub(channels["registry"])
        self.auth = auth_pb2_grpc.AuthServiceStub(channels["auth"])
        self.policy = policy_pb2_grpc.PolicyServiceStub(channels["policy"])

    async def users(self) -> dict[int, user_types.User]:
        """All users by id."""
        return convert.by_id((await self.registry.ListUsers(registry_pb2.ListUsersRequest(), timeout=DEADLINE)).users)

    async def keys(self) -> dict[int, auth_pb2.PreAuthKey]:
        """All pre-auth keys by id, masked."""
        answer = await self.auth.ListPreAuthKeys(auth_pb2.ListPreAuthKeysRequest(), timeout=DEADLINE)
        return {key.id: key for key in answer.pre_auth_keys}

    async def user_named(self, name: str) -> user_types.User:
        """The one user with a name; an e-mail or an id in digits will do as well.

        Raises:
            Refused: none, or several.
        """
        if not name:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "user: must not be empty")
        users = (await self.users()).values()
        found = [user for user in users if user.name == name] or [user for user in users if user.email == name]
        if not found and name.isascii() and name.isdigit():
            found = [user for user in users if user.id == int(name)]
        if len(found) != 1:
            text = "user not found" if not found else "user: several users have this e-mail; say the id"
            raise Refused(grpc.StatusCode.NOT_FOUND if not found else grpc.StatusCode.FAILED_PRECONDITION, text)
        return found[0]

    async def population(self) -> policy_pb2.Population:
        """The tailnet as tests of a policy see it."""
        answer = await self.registry.ListNodes(registry_pb2.ListNodesRequest(), timeout=DEADLINE)
        return policy_pb2.Population(
            nodes=[
                policy_pb2.Subject(
                    id=node.id,
                    user_id=node.user_id,
                    tags=node.tags,
                    ipv4=node.ipv4,
                    ipv6=node.ipv6,
                    advertised_routes=node.advertised_routes,
                    approved_routes=node.approved_routes,
                    name=node.given_name,
                    attributes=_attributes(node),
                )
                for node in answer.nodes
            ],
            users=[
                policy_pb2.Person(
                    id=user.id,
                    name=user.name,
                    email=user.email,
                    provider_id=user.provider_id,
                    role=user.role,
                    groups=user.groups,
                )
                for user in (await self.users()).values()
            ],
        )


def _attributes(node: node_types.Node) -> dict[str, str]:
    """What postures ask of the device; nothing when its record cannot be read."""
    try:
        return dict(hostinfo_attributes(node.hostinfo))
    except ValueError:
        return {}
