"""Follows the policy service's log, so that `usecases.approval` has the compiled policy in force."""

from __future__ import annotations

from collections.abc import Sequence

import grpc.aio
from smartscale.common.v1 import common_pb2
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc

from services.registry.model.errors import UnavailableError
from services.registry.usecases.approval import PolicyApprover, PolicyChange
from services.shared.access.compiled import CompiledPolicy
from services.shared.bus import Bus
from services.shared.changelog import Follower
from services.shared.ids import TailnetId

_TIMEOUT = 10.0


class ApprovalPolicyLog:
    """The policy service's log; each record replaces the policy in `usecases.approval`."""

    service = "policy"

    def __init__(self, channel: grpc.aio.Channel, change: PolicyChange, tailnet: TailnetId) -> None:
        self._stub = policy_pb2_grpc.PolicyServiceStub(channel)
        self._change = change
        self._tailnet = tailnet
        self._position = 0
        self._known: bytes | None = None

    @property
    def position(self) -> int:
        """Number of the last policy change applied."""
        return self._position

    async def changes(self, after: int) -> policy_pb2.GetChangesResponse:
        """Fetch the policy service's records after a position."""
        request = policy_pb2.GetChangesRequest(tailnet_id=self._tailnet, after=after)
        return await self._stub.GetChanges(request, timeout=_TIMEOUT)

    async def apply(self, records: Sequence[common_pb2.LogRecord], traceparent: str) -> None:
        """Use the newest of these policies.

        Raises:
            UnavailableError: the database cannot be used; routes stay unapproved until a retry.
            ValueError: a newer release compiled the policy.
        """
        await self._use(policy_pb2.Change.FromString(records[-1].payload).compiled)
        self._position = records[-1].seq

    async def start_over(self) -> None:
        """Use the policy in force.

        Raises:
            UnavailableError: the database cannot be used; routes stay unapproved until a retry.
            ValueError: a newer release compiled the policy.
        """
        request = policy_pb2.GetCompiledRequest(tailnet_id=self._tailnet)
        answer = await self._stub.GetCompiled(request, timeout=_TIMEOUT)
        await self._use(answer.compiled)
        self._position = answer.seq

    async def _use(self, compiled: bytes) -> None:
        if compiled != self._known:
            await self._change.take(PolicyApprover(CompiledPolicy.from_bytes(compiled)))
            self._known = compiled


def policy_follower(channel: grpc.aio.Channel, bus: Bus, change: PolicyChange, tailnet: TailnetId) -> Follower:
    """Return the follower that updates automatic approval; nothing is approved until the first policy arrives."""
    log = ApprovalPolicyLog(channel, change, tailnet)
    return Follower(bus, tailnet, (log,), log.start_over, expected=(UnavailableError, ValueError))
