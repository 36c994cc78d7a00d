"""Answers to registrations."""

from __future__ import annotations

from smartscale.auth.v1 import auth_pb2 as pb


async def admitted(answer: pb.RegisterResponse) -> int:
    """The node that was let in."""
    assert answer.WhichOneof("outcome") == "admitted", answer
    return int(answer.admitted.node.id)
