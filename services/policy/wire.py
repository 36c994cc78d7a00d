"""Between the service's values and its protobuf messages. Shared by the RPC border, the change log and the wiring."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.policy.v1 import policy_pb2 as pb
from smartscale.types.v1 import policy_pb2 as policy_types

from services.policy.model.version import Version


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
