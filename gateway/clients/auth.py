"""Calls to auth that a registering client causes: the request as decoded becomes the message, the answer stays one."""

from __future__ import annotations

import grpc.aio
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.auth.v1 import auth_pb2_grpc as pb_grpc

from gateway.clients.failure import Unavailable, raise_failure
from services.shared.keys import MachineKey
from services.shared.rpc.identity import with_machine_key
from services.shared.tailcfg.requests import RegisterRequest

REGISTER_DEADLINE = 20.0
"""Seconds for a registration without a Followup."""


class LoginStillPending(Exception):  # noqa: N818  the end of a wait, not a failure
    """A login was neither approved nor rejected within the time that a request waits."""


class AuthClient:
    """Calls auth for clients that register."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = pb_grpc.AuthServiceStub(channel)

    async def register(self, machine: MachineKey, request: RegisterRequest, remote_address: str) -> pb.RegisterResponse:
        """Register a node. The answer has an outcome.

        Raises:
            ServiceError: another machine's node key, a malformed request, or no answer.
        """
        try:
            response = await self._stub.Register(
                _message(request, remote_address),
                timeout=REGISTER_DEADLINE,
                metadata=with_machine_key(machine),
                wait_for_ready=True,
            )
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        return _checked(response)

    async def await_login(
        self, machine: MachineKey, request: RegisterRequest, remote_address: str, deadline: float
    ) -> pb.RegisterResponse:
        """Wait until the login of a Followup is decided; cancelling this cancels the call. The answer has an outcome.

        Raises:
            LoginStillPending: no decision within `deadline` seconds.
            ServiceError: another machine's login, a malformed request, or no answer.
        """
        message = pb.AwaitLoginRequest(registration=_message(request, remote_address), followup=request.followup)
        try:
            response = await self._stub.AwaitLogin(message, timeout=deadline, metadata=with_machine_key(machine))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise LoginStillPending from None
            raise_failure(error)
        return _checked(response.response)


def _message(request: RegisterRequest, remote_address: str) -> pb.RegisterRequest:
    message = pb.RegisterRequest(
        version=request.version,
        node_key=request.node_key.raw,
        old_node_key=b"" if request.old_node_key.is_zero else request.old_node_key.raw,
        auth_key=request.auth_key,
        hostinfo=request.hostinfo.json,
        ephemeral=request.ephemeral,
        remote_address=remote_address,
    )
    if request.expiry is not None:
        message.expiry.FromDatetime(request.expiry)
    return message


def _checked(response: pb.RegisterResponse) -> pb.RegisterResponse:
    if response.WhichOneof("outcome") is None:
        raise Unavailable("auth gave no outcome")
    return response
