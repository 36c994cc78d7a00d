"""Calls that an SSH session causes: to a map streamer for the policy's part, to auth for the person's."""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc.aio
from smartscale.auth.v1 import auth_pb2, auth_pb2_grpc
from smartscale.map_streamer.v1 import map_streamer_pb2, map_streamer_pb2_grpc

from gateway.clients.failure import Unavailable, raise_failure
from services.shared.keys import MachineKey
from services.shared.rpc.identity import with_machine_key

DEADLINE = 15.0


@dataclass(frozen=True, slots=True)
class SshSession:
    """An incoming SSH session, as the client of its destination describes it."""

    source_id: int
    destination_id: int
    local_user: str


@dataclass(frozen=True, slots=True)
class SessionRule:
    """The rule of the policy in force for a session."""

    period_seconds: int
    everywhere: bool
    action: bytes = field(repr=False)
    """SSHAction as JSON: the answer to the client once a person has confirmed."""


@dataclass(frozen=True, slots=True)
class SshAccepted:
    """The session may begin."""


@dataclass(frozen=True, slots=True)
class SshWaiting:
    """A person must approve the session."""

    auth_id: str
    url: str


@dataclass(frozen=True, slots=True)
class SshRefused:
    """The session is refused, with the text for the person."""

    text: str


SshVerdict = SshAccepted | SshWaiting | SshRefused


class SshStillWaiting(Exception):  # noqa: N818  the end of a wait, not a failure
    """The session was neither approved nor rejected within the time that a request waits."""


class SshClient:
    """Calls a map streamer and auth for SSH sessions."""

    def __init__(self, map_streamer: grpc.aio.Channel, auth: grpc.aio.Channel) -> None:
        self._rules = map_streamer_pb2_grpc.MapStreamerServiceStub(map_streamer)
        self._auth = auth_pb2_grpc.AuthServiceStub(auth)

    async def rule(self, machine: MachineKey, session: SshSession) -> SessionRule:
        """Return the rule of the policy in force for a session.

        Raises:
            ServiceError: no rule checks it, a node is unknown or the destination another machine's; or no answer.
        """
        request = map_streamer_pb2.FindSshCheckRequest(
            source_id=session.source_id, destination_id=session.destination_id, local_user=session.local_user
        )
        try:
            found = await self._rules.FindSshCheck(request, timeout=DEADLINE, metadata=with_machine_key(machine))
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        return SessionRule(found.period_seconds, found.everywhere, found.action)

    async def check(self, machine: MachineKey, session: SshSession, rule: SessionRule) -> SshVerdict:
        """Return whether a session may begin, needs an approval, or is refused.

        Raises:
            ServiceError: as `rule`.
        """
        request = auth_pb2.CheckSshRequest(question=_question(session, rule))
        try:
            answer = await self._auth.CheckSsh(request, timeout=DEADLINE, metadata=with_machine_key(machine))
        except grpc.aio.AioRpcError as error:
            raise_failure(error)
        return _verdict(answer.verdict)

    async def wait(
        self, machine: MachineKey, session: SshSession, rule: SessionRule, auth_id: str, deadline: float
    ) -> SshVerdict:
        """Wait until a person has decided; cancelling this cancels the call.

        Raises:
            SshStillWaiting: no decision within `deadline` seconds.
            ServiceError: as `rule`, or too many wait.
        """
        request = auth_pb2.AwaitSshCheckRequest(question=_question(session, rule), auth_id=auth_id)
        try:
            answer = await self._auth.AwaitSshCheck(request, timeout=deadline, metadata=with_machine_key(machine))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise SshStillWaiting from None
            raise_failure(error)
        return _verdict(answer.verdict)


def _question(session: SshSession, rule: SessionRule) -> auth_pb2.SshQuestion:
    return auth_pb2.SshQuestion(
        source_id=session.source_id,
        destination_id=session.destination_id,
        local_user=session.local_user,
        period_seconds=rule.period_seconds,
        everywhere=rule.everywhere,
    )


def _verdict(verdict: auth_pb2.SshVerdict) -> SshVerdict:
    match verdict.WhichOneof("outcome"):
        case "accepted":
            return SshAccepted()
        case "waiting":
            return SshWaiting(verdict.waiting.auth_id, verdict.waiting.url)
        case "refused":
            return SshRefused(verdict.refused)
        case _:
            raise Unavailable("auth gave no outcome")
