"""Converts versions and changes to protobuf, for `rpc` and the change log. Decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.policy.v1 import policy_pb2 as pb
from smartscale.types.v1 import policy_pb2 as policy_types

from services.policy.model.version import Version


class ChangeCodec:
    """Encoder of changes for the log and the bus."""

    def encode(self, seq: int, time: datetime, compiled: bytes, version: int) -> bytes:
        """Return the payload of a change."""
        return pb.Change(seq=seq, time=timestamp(time), compiled=compiled, version=version).SerializeToString()


def timestamp(value: datetime) -> Timestamp:
    """Return an instant as a protobuf timestamp."""
    stamp = Timestamp()
    stamp.FromDatetime(value.astimezone(UTC).replace(tzinfo=None))
    return stamp


def version_to_proto(version: Version) -> policy_types.PolicyVersion:
    """Return a version as a message."""
    return policy_types.PolicyVersion(
        number=version.number,
        author=version.author,
        reason=version.reason,
        created_at=timestamp(version.created_at),
        etag=version.etag,
        text=version.text,
    )
