"""Between the service's values and its protobuf messages. Shared by the RPC border, the change log and the wiring."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.policy.v1 import policy_pb2 as pb
from smartscale.types.v1 import policy_pb2 as policy_types

from services.policy.model.checks.population import Population
from services.policy.model.version import Version
from services.shared.access.inputs import AccessNode, AccessUser


class ChangeCodec:
    """Changes as the log and the bus carry them."""

    def encode(self, seq: int, time: datetime, compiled: bytes, version: int) -> bytes:
        """The payload of one change."""
        return pb.Change(seq=seq, time=timestamp(time), compiled=compiled, version=version).SerializeToString()


def timestamp(value: datetime) -> Timestamp:
    """An instant as protobuf has it."""
    stamp = Timestamp()
    stamp.FromDatetime(value.astimezone(UTC).replace(tzinfo=None))
    return stamp


def version_to_proto(version: Version) -> policy_types.PolicyVersion:
    """A version as a message."""
    return policy_types.PolicyVersion(
        number=version.number,
        author=version.author,
        reason=version.reason,
        created_at=timestamp(version.created_at),
        etag=version.etag,
        text=version.text,
    )


def population_from_proto(message: pb.Population) -> Population:
    """The tailnet that a caller describes."""
    return Population(
        users=tuple(
            AccessUser(
                id=person.id,
                name=person.name,
                email=person.email,
                provider_id=person.provider_id,
                role=person.role or "member",
                groups=frozenset(person.groups),
            )
            for person in message.users
        ),
        nodes=tuple(
            AccessNode(
                id=subject.id,
                user_id=subject.user_id,
                tags=tuple(subject.tags),
                ipv4=subject.ipv4,
                ipv6=subject.ipv6,
                advertised_routes=tuple(subject.advertised_routes),
                approved_routes=tuple(subject.approved_routes),
                created=subject.id,
                attributes=tuple(sorted(subject.attributes.items())),
            )
            for subject in message.nodes
        ),
    )


def topology_from_proto(message: pb.Population) -> dict[str, Any]:
    """The same as a topology, in which nodes have names."""
    names = {person.id: person.name or person.email for person in message.users}
    return {
        "users": [
            {
                "id": person.id,
                "name": person.name,
                "email": person.email,
                "provider_id": person.provider_id,
                "role": person.role,
                "groups": list(person.groups),
            }
            for person in message.users
        ],
        "nodes": {
            subject.name or str(subject.id): {
                "id": subject.id,
                "user": names.get(subject.user_id, ""),
                "tags": list(subject.tags),
                "ipv4": subject.ipv4,
                "ipv6": subject.ipv6,
                "routable_ips": list(subject.advertised_routes),
                "approved_routes": list(subject.approved_routes),
                "attributes": dict(subject.attributes),
            }
            for subject in message.nodes
        },
    }
