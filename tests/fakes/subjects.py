"""A registry that answers the one question that the policy service asks: who and what is in the tailnet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.registry.v1 import registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.shared.rpc import LocalChannel, LocalServer


class Subjects(registry_pb2_grpc.RegistryServiceServicer):
    """Streams users and subjects that a test sets; unavailable when `answers` is false."""

    def __init__(self) -> None:
        self.users: Sequence[user_types.User] = ()
        self.subjects: Sequence[node_types.Subject] = ()
        self.answers = True
        server = LocalServer()
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]
        self.channel = LocalChannel(server)

    async def ListSubjects(
        self, request: pb.ListSubjectsRequest, context: Any
    ) -> AsyncIterator[pb.ListSubjectsResponse]:
        """Stream the users, then the subjects, one in each part."""
        if not self.answers:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        yield pb.ListSubjectsResponse(users=self.users)
        for subject in self.subjects:
            yield pb.ListSubjectsResponse(subjects=[subject])
