"""Liveness of the services behind the gateway: one cheap call to each that reaches its store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import grpc
import grpc.aio
from smartscale.auth.v1 import auth_pb2, auth_pb2_grpc
from smartscale.map_streamer.v1 import map_streamer_pb2, map_streamer_pb2_grpc
from smartscale.policy.v1 import policy_pb2, policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc

DEADLINE = 2.0

_DEAD = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
}


class Liveness:
    """Calls registry, policy, auth and map streamer."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        registry = registry_pb2_grpc.RegistryServiceStub(channels["registry"])
        policy = policy_pb2_grpc.PolicyServiceStub(channels["policy"])
        auth = auth_pb2_grpc.AuthServiceStub(channels["auth"])
        streamer = map_streamer_pb2_grpc.MapStreamerServiceStub(channels["map_streamer"])
        self._questions: dict[str, Callable[[], Awaitable[object]]] = {
            "registry": lambda: registry.VerifyNodeKey(
                registry_pb2.VerifyNodeKeyRequest(node_key=bytes(32)), timeout=DEADLINE
            ),
            "policy": lambda: policy.GetPolicy(policy_pb2.GetPolicyRequest(), timeout=DEADLINE),
            "auth": lambda: auth.GetPendingLogin(
                auth_pb2.GetPendingLoginRequest(auth_id="hskey-authreq-health"), timeout=DEADLINE
            ),
            "map_streamer": lambda: streamer.GetStatus(map_streamer_pb2.GetStatusRequest(), timeout=DEADLINE),
        }

    async def failing(self) -> list[str]:
        """Return the names of the services that do not answer, sorted."""
        names = sorted(self._questions)
        answers = await asyncio.gather(*(self._answers(self._questions[name]) for name in names))
        return [name for name, answered in zip(names, answers, strict=True) if not answered]

    async def _answers(self, ask: Callable[[], Awaitable[object]]) -> bool:
        try:
            await ask()
        except grpc.aio.AioRpcError as error:
            return error.code() not in _DEAD
        return True
