"""What the calls of the registry share: the use cases, records as messages, and the status of each error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from grpc import StatusCode
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.registry import wire
from services.registry.model import errors
from services.registry.model.node import Node
from services.registry.model.user import User
from services.registry.usecases.addresses import Addresses
from services.registry.usecases.admission import NodeAdmission
from services.registry.usecases.attributes import PostureAttributes
from services.registry.usecases.dns import DnsSettings
from services.registry.usecases.elections import Elections
from services.registry.usecases.feed import Feed
from services.registry.usecases.identities import Identities
from services.registry.usecases.listing import Listings
from services.registry.usecases.nodes import Nodes
from services.registry.usecases.people import People
from services.registry.usecases.presence import PresenceTracker
from services.registry.usecases.relays import Relays
from services.registry.usecases.rights import Rights
from services.registry.usecases.tailnet_settings import StoredSettings
from services.registry.usecases.updates import Updates
from services.registry.usecases.users import Users
from services.shared.ids import TailnetId

STATUS: dict[type[Exception], StatusCode] = {
    errors.InvalidInputError: StatusCode.INVALID_ARGUMENT,
    errors.NotFoundError: StatusCode.NOT_FOUND,
    errors.AlreadyExistsError: StatusCode.ALREADY_EXISTS,
    errors.ForbiddenError: StatusCode.PERMISSION_DENIED,
    errors.PreconditionError: StatusCode.FAILED_PRECONDITION,
    errors.ExhaustedError: StatusCode.RESOURCE_EXHAUSTED,
    errors.UnavailableError: StatusCode.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases of one tailnet, by noun."""

    users: Users
    people: People
    identities: Identities
    rights: Rights
    listings: Listings
    nodes: Nodes
    addresses: Addresses
    admission: NodeAdmission
    updates: Updates
    presence: PresenceTracker
    elections: Elections
    relays: Relays
    dns: DnsSettings
    attributes: PostureAttributes
    settings: StoredSettings
    feed: Feed


class Calls:
    """Calls about one tailnet."""

    def __init__(self, cases: UseCases, tailnet: TailnetId) -> None:
        self._cases = cases
        self._tailnet = tailnet

    def _check_tailnet(self, tailnet: str) -> None:
        if tailnet not in ("", self._tailnet):
            raise errors.NotFoundError("tailnet not found")

    def _node(self, node: Node) -> node_types.Node:
        return wire.node_to_proto(node, self._tailnet)

    def _nodes(self, nodes: Iterable[Node]) -> list[node_types.Node]:
        return [wire.node_to_proto(node, self._tailnet) for node in nodes]

    def _user(self, user: User) -> user_types.User:
        return wire.user_to_proto(user, self._tailnet)

    def _optional_node(self, node: Node | None) -> node_types.Node | None:
        return None if node is None else self._node(node)

    def _optional_user(self, user: User | None) -> user_types.User | None:
        return None if user is None else self._user(user)
