"""Calls to auth that a registering client causes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import grpc.aio
from smartscale.auth.v1 import auth_pb2 as pb
from smartscale.auth.v1 import auth_pb2_grpc as pb_grpc

from gateway.clients.failure import Unavailable, raise_failure
from services.shared.ids import TAGGED_DEVICES_USER
from services.shared.keys import MachineKey, NodeKey
from services.shared.rpc.identity import with_machine_key

REGISTER_DEADLINE = 20.0


@dataclass(frozen=True, slots=True)
class Registration:
    """What a client asks for when it registers."""

    cap_version: int
    node_key: NodeKey
    old_node_key: NodeKey
    auth_key: str = field(repr=False)
    expiry: datetime | None
    """None: no wish; in the past: log out."""
    hostinfo: bytes = field(repr=False)
    ephemeral: bool
    remote_address: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """The node is in; who owns it, as clients show it."""

    user_id: int
    login_name: str
    display_name: str
    provider: str
    profile_pic_url: str
    node_id: int


@dataclass(frozen=True, slots=True)
class LoginNeeded:
    """A person must go to this address."""

    url: str


@dataclass(frozen=True, slots=True)
class KeyExpired:
    """The client must make a new node key."""


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """The logout was done."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What the person should read."""

    text: str


@dataclass(frozen=True, slots=True)
class TooMany:
    """Too many attempts; seconds until the next."""

    retry_after: int


Outcome = Admitted | LoginNeeded | KeyExpired | LoggedOut | Refused | TooMany


class LoginStillPending(Exception):  # noqa: N818  the end of a wait, not a failure
    """Nobody decided within the time that a request is held."""


class AuthClient:
    """Auth, as the tunnel sees it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = pb_grpc.AuthServiceStub(channel)

    async def register(self, machine: MachineKey, registration: Registration) -> Outcome:
        """Register a node.

        Raises:
            ServiceError: another machine's node key, a malformed request, or no answer.
        """
        try:
            response = await self._stub.Register(
                _request(registration),
                timeout=REGISTER_DEADLINE,
                metadata=with_machine_key(machine),
                wait_for_ready=True,
            )
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        return _outcome(response)

    async def await_login(
        self, machine: MachineKey, registration: Registration, followup: str, deadline: float
    ) -> Outcome:
        """Wait until a login is decided; cancelling this cancels the call.

        Raises:
            LoginStillPending: no decision within `deadline` seconds.
            ServiceError: another machine's login, a malformed request, or no answer.
        """
        request = pb.AwaitLoginRequest(registration=_request(registration), followup=followup)
        try:
            response = await self._stub.AwaitLogin(request, timeout=deadline, metadata=with_machine_key(machine))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise LoginStillPending from None
            raise_failure(error)
        return _outcome(response.response)


def _request(registration: Registration) -> pb.RegisterRequest:
    request = pb.RegisterRequest(
        version=registration.cap_version,
        node_key=registration.node_key.raw,
        old_node_key=b"" if registration.old_node_key.is_zero else registration.old_node_key.raw,
        auth_key=registration.auth_key,
        hostinfo=registration.hostinfo,
        ephemeral=registration.ephemeral,
        remote_address=registration.remote_address,
    )
    if registration.expiry is not None:
        request.expiry.FromDatetime(registration.expiry)
    return request


def _outcome(response: pb.RegisterResponse) -> Outcome:
    match response.WhichOneof("outcome"):
        case "admitted":
            return _admitted(response.admitted)
        case "login_needed":
            return LoginNeeded(response.login_needed.auth_url)
        case "node_key_expired":
            return KeyExpired()
        case "logged_out":
            return LoggedOut()
        case "refused":
            return Refused(response.refused)
        case "retry_after":
            return TooMany(min(max(response.retry_after, 1), 3600))
        case _:
            raise Unavailable("auth gave no outcome")


def _admitted(admitted: pb.Admitted) -> Admitted:
    node = admitted.node
    if not admitted.HasField("user") or node.tags:
        return Admitted(TAGGED_DEVICES_USER, "tagged-devices", "Tagged Devices", "", "", node.id)
    user = admitted.user
    login_name = user.email or user.name
    return Admitted(user.id, login_name, user.display_name or login_name, user.provider, user.profile_pic_url, node.id)
