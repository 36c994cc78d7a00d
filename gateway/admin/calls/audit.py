"""smartscale.admin.v1: the audit log."""

from __future__ import annotations

from smartscale.admin.v1 import audit_pb2 as pb
from smartscale.auth.v1 import audit_pb2 as inner

from gateway.admin.context import LIST_DEADLINE, CallContext
from gateway.admin.services import Services


class AuditLog:
    """Calls about the audit log."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListEntries(self, request: pb.ListEntriesRequest, call: CallContext) -> pb.ListEntriesResponse:
        """List entries in order."""
        wanted = inner.ListEntriesRequest(
            after=request.after,
            limit=request.limit,
            newest=request.newest,
            start=request.start if request.HasField("start") else None,
            end=request.end if request.HasField("end") else None,
        )
        return pb.ListEntriesResponse(entries=(await call.ask(self._services.audit.ListEntries, wanted)).entries)

    async def VerifyEntries(self, request: pb.VerifyEntriesRequest, call: CallContext) -> pb.VerifyEntriesResponse:
        """Verify the log."""
        found = await call.ask(self._services.audit.VerifyEntries, inner.VerifyEntriesRequest(), LIST_DEADLINE)
        return pb.VerifyEntriesResponse(
            entries=found.entries, first_wrong=found.first_wrong, problem=found.problem, last_hash=found.last_hash
        )
