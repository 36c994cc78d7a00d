"""Expiration of new keys, as requests of different clients give it."""

from __future__ import annotations

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.admin.calls import convert


def expiration_of(request: Any) -> Timestamp | None:
    """Return the `expiration` of a request, or None where the caller leaves it to the server.

    Go clients send their zero time, the first of January of the year 1, for a time that was not given.
    """
    if not request.HasField("expiration") or request.expiration == convert.YEAR_ONE:
        return None
    stamp: Timestamp = request.expiration
    return stamp
