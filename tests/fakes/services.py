"""Registry, auth and map streamer as the gateway sees them: scripted answers, and everything they heard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from smartscale.auth.v1 import auth_pb2, auth_pb2_grpc
from smartscale.map_streamer.v1 import map_streamer_pb2, map_streamer_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc

from services.shared.keys import MachineKey
from services.shared.rpc import LocalServer, machine_key_of

DEADLINE = 5.0


class Ear:
    """What somebody heard, in order."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self._more = asyncio.Event()

    def hear(self, what: Any) -> None:
        """Note it."""
        self.heard.append(what)
        self._more.set()

    async def until(self, wanted: Callable[[Any], bool]) -> Any:
        """The first that is wanted; waits for it."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for what in self.heard:
                    if wanted(what):
                        return what
                self._more.clear()
                await self._more.wait()


class ScriptedAuth(auth_pb2_grpc.AuthServiceServicer):
    """Answers every registration with `answer`; holds every Followup until `decide` is set."""

    def __init__(self) -> None:
        self.answer = auth_pb2.RegisterResponse(refused="no answer was scripted")
        self.fail: tuple[grpc.StatusCode, str] | None = None
        self.decide = asyncio.Event()
        self.held = 0
        self.ear = Ear()

    async def Register(self, request: auth_pb2.RegisterRequest, context: Any) -> auth_pb2.RegisterResponse:
        self.ear.hear((machine_key_of(context), request))
        if self.fail is not None:
            await context.abort(*self.fail)
        return self.answer

    async def AwaitLogin(self, request: auth_pb2.AwaitLoginRequest, context: Any) -> auth_pb2.AwaitLoginResponse:
        self.ear.hear((machine_key_of(context), request))
        self.held += 1
        try:
            await self.decide.wait()
        finally:
            self.held -= 1
            self.ear.hear("let go")
        return auth_pb2.AwaitLoginResponse(response=self.answer)


class ScriptedRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """Takes every report; `gate` holds the answers back when cleared."""

    def __init__(self) -> None:
        self.fail: tuple[grpc.StatusCode, str] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.updates: list[tuple[MachineKey, registry_pb2.UpdateNodeRequest]] = []
        self.ear = Ear()
        self.reports = Ear()
        self.may_relay: set[bytes] = set()

    async def UpdateNode(self, request: registry_pb2.UpdateNodeRequest, context: Any) -> Any:
        machine = machine_key_of(context)
        self.ear.hear((machine, request))
        await self.gate.wait()
        if self.fail is not None:
            await context.abort(*self.fail)
        self.updates.append((machine, request))
        return registry_pb2.UpdateNodeResponse(changed=True)

    async def ReportSessions(self, request: registry_pb2.ReportSessionsRequest, context: Any) -> Any:
        self.reports.hear(request)
        return registry_pb2.ReportSessionsResponse()

    async def VerifyNodeKey(self, request: registry_pb2.VerifyNodeKeyRequest, context: Any) -> Any:
        return registry_pb2.VerifyNodeKeyResponse(allow=request.node_key in self.may_relay)


class ScriptedStreamer(map_streamer_pb2_grpc.MapStreamerServiceServicer):
    """One attached gateway at a time; the test says what goes down."""

    def __init__(self) -> None:
        self.ear = Ear()
        self.attachments = 0
        self._down: asyncio.Queue[map_streamer_pb2.AttachResponse | None] = asyncio.Queue()

    async def Attach(
        self, requests: AsyncIterator[map_streamer_pb2.AttachRequest], context: Any
    ) -> AsyncIterator[map_streamer_pb2.AttachResponse]:
        self.attachments += 1
        self._down = asyncio.Queue()
        listening = asyncio.create_task(self._listen(requests))
        try:
            while (response := await self._down.get()) is not None:
                yield response
        finally:
            listening.cancel()

    async def _listen(self, requests: AsyncIterator[map_streamer_pb2.AttachRequest]) -> None:
        async for request in requests:
            self.ear.hear(request)

    def say(self, **message: Any) -> None:
        """Send one thing down."""
        self._down.put_nowait(map_streamer_pb2.AttachResponse(**message))

    def hang_up(self) -> None:
        """End the stream."""
        self._down.put_nowait(None)

    async def opened(self, after: int = 0) -> map_streamer_pb2.SessionOpened:
        """The next opening whose session id is beyond `after`."""
        request = await self.ear.until(lambda said: said.HasField("opened") and said.opened.session_id > after)
        return request.opened

    def accept(self, session_id: int, node_id: int = 7) -> None:
        """Accept a session."""
        self.say(accepted=map_streamer_pb2.SessionAccepted(session_id=session_id, node_id=node_id))


def serve(*servicers: Any) -> LocalServer:
    """One server with all of these."""
    server = LocalServer()
    for servicer in servicers:
        match servicer:
            case ScriptedAuth():
                auth_pb2_grpc.add_AuthServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
            case ScriptedRegistry():
                registry_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
            case ScriptedStreamer():
                map_streamer_pb2_grpc.add_MapStreamerServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    return server
