"""The gRPC servicer of the audit log."""

from __future__ import annotations

import re

from grpc.aio import ServicerContext
from smartscale.auth.v1 import audit_pb2 as pb
from smartscale.auth.v1 import audit_pb2_grpc
from smartscale.types.v1 import audit_pb2 as types

from services.auth.model.audit import INTERRUPTED, ChainedEntry
from services.auth.model.errors import InvalidInputError
from services.auth.rpc.errors import STATUS
from services.auth.rpc.reading import read_id, read_instant, read_optional
from services.auth.usecases.audit import Audit
from services.shared.rpc import answers

MAX_ENTRY = 64 << 10
"""Bytes of an entry."""
_EVENT_ID = re.compile(r"[0-9a-f]{32}\Z")


@answers(STATUS)
class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """smartscale.auth.v1.AuditService."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def BeginCall(
        self, request: pb.BeginCallRequest, context: ServicerContext[pb.BeginCallRequest, pb.BeginCallResponse]
    ) -> pb.BeginCallResponse:
        """Record a call that is about to be made."""
        entry = _read(request.entry)
        await self._audit.begin(entry.event_id, read_instant(entry.time), body_of(entry))
        return pb.BeginCallResponse()

    async def FinishCall(
        self, request: pb.FinishCallRequest, context: ServicerContext[pb.FinishCallRequest, pb.FinishCallResponse]
    ) -> pb.FinishCallResponse:
        """Append a call with its result."""
        entry = _read(request.entry)
        await self._audit.finish(entry.event_id, read_instant(entry.time), body_of(entry))
        return pb.FinishCallResponse()

    async def ListEntries(
        self, request: pb.ListEntriesRequest, context: ServicerContext[pb.ListEntriesRequest, pb.ListEntriesResponse]
    ) -> pb.ListEntriesResponse:
        """List entries."""
        found = await self._audit.list(
            read_id(request.after),
            request.limit,
            newest=request.newest,
            start=read_optional(request, "start"),
            end=read_optional(request, "end"),
        )
        return pb.ListEntriesResponse(entries=map(entry_of, found))

    async def VerifyEntries(
        self,
        request: pb.VerifyEntriesRequest,
        context: ServicerContext[pb.VerifyEntriesRequest, pb.VerifyEntriesResponse],
    ) -> pb.VerifyEntriesResponse:
        """Verify the log."""
        found = await self._audit.verify()
        return pb.VerifyEntriesResponse(
            entries=found.entries, first_wrong=found.first_wrong, problem=found.problem, last_hash=found.last_hash
        )


def _read(entry: types.AuditEntry) -> types.AuditEntry:
    if not _EVENT_ID.match(entry.event_id):
        raise InvalidInputError("event_id: 32 hexadecimal digits")
    if entry.ByteSize() > MAX_ENTRY:
        raise InvalidInputError(f"entry: more than {MAX_ENTRY} bytes")
    return entry


def body_of(entry: types.AuditEntry) -> bytes:
    """Return an entry as it is hashed and stored: without position and hash."""
    bare = types.AuditEntry()
    bare.CopyFrom(entry)
    bare.ClearField("seq")
    bare.ClearField("hash")
    return bare.SerializeToString(deterministic=True)


def entry_of(link: ChainedEntry) -> types.AuditEntry:
    """Return a stored entry."""
    entry = types.AuditEntry.FromString(link.body)
    entry.seq, entry.hash = link.seq, link.hash
    return entry


def interrupted(body: bytes) -> bytes:
    """Return the body of a call with the result that it was interrupted."""
    entry = types.AuditEntry.FromString(body)
    entry.result = INTERRUPTED
    entry.reason = "the server ended before the result was known"
    return entry.SerializeToString(deterministic=True)
