"""The service that the registry asks: the policy, whose compiled form it keeps up with for automatic approval."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc

from services.registry.model.errors import UnavailableError
from services.registry.usecases.approval import PolicyApprover, PolicyChange
from services.shared.access.compiled import CompiledPolicy
from services.shared.bus import Bus
from services.shared.ids import TailnetId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_TIMEOUT = 10.0
_LOOK_ANYWAY = 60.0
"""Seconds after which the policy is fetched though nobody said that it changed."""
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts while the policy service does not answer."""


class PolicyFollower:
    """Fetches the policy at start and at each change; approval rests until it is known."""

    def __init__(self, channel: grpc.aio.Channel, bus: Bus, change: PolicyChange, tailnet: TailnetId) -> None:
        self._stub = policy_pb2_grpc.PolicyServiceStub(channel)
        self._bus = bus
        self._change = change
        self._tailnet = tailnet
        self._known: bytes | None = None

    async def run(self) -> None:
        """Fetch the policy now and after each change; ends when the bus is closed."""
        async with self._bus.subscribe(f"smartscale.{self._tailnet}.policy.changes") as messages:
            while True:
                await self._fetch_until_known()
                try:
                    async with asyncio.timeout(_LOOK_ANYWAY):
                        await anext(messages)
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    return

    async def _fetch_until_known(self) -> None:
        attempt = 0
        while True:
            try:
                await self._fetch()
                return
            except grpc.aio.AioRpcError as error:
                reason = error.code().name
            except (UnavailableError, ValueError) as error:
                reason = str(error)
            if attempt == len(_PAUSES):
                log.warning("registry waits for the policy", reason=reason)
            await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1

    async def _fetch(self) -> None:
        request = policy_pb2.GetCompiledRequest(tailnet_id=self._tailnet)
        answer = await self._stub.GetCompiled(request, timeout=_TIMEOUT)
        if answer.compiled == self._known:
            return
        await self._change.take(PolicyApprover(CompiledPolicy.from_bytes(answer.compiled)))
        self._known = answer.compiled
