"""A gateway's end of `Attach`: assembles full maps from frames as a gateway does, and keeps a netmap per session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from tests.fakes.netmap import Json, Netmap

DEADLINE = 5.0


class GatewaySession:
    """What a gateway knows of one session."""

    def __init__(self, session_id: int, *, zstd: bool) -> None:
        self.id = session_id
        self.request: dict[str, Any] = {}
        self.zstd = zstd
        self.netmap = Netmap()
        self.node_id = 0
        self.refused: int | None = None
        self.ended: int | None = None
        self.fulls = 0
        self.deltas: list[Json] = []
        self.raw: list[bytes] = []
        self.cursor: common_pb2.Cursor | None = None


class GatewayStream:
    """One attached gateway."""

    def __init__(self, stub: Any, gateway_id: str = "gateway-a") -> None:
        self._requests: asyncio.Queue[pb.AttachRequest | None] = asyncio.Queue()
        self._call = stub.Attach(self._sent())
        self._moved = asyncio.Event()
        self._number = 0
        self.sessions: dict[int, GatewaySession] = {}
        self.frames: dict[int, bytes] = {}
        self.frame_messages = 0
        self.delta_messages: list[pb.Delta] = []
        self.error: BaseException | None = None
        self.send(hello=pb.Hello(gateway_id=gateway_id))
        self._reader = asyncio.create_task(self._read())

    async def _sent(self) -> Any:
        while (request := await self._requests.get()) is not None:
            yield request

    def send(self, **message: Any) -> None:
        """Say one thing."""
        self._requests.put_nowait(pb.AttachRequest(**message))

    def open(self, node: Any, *, zstd: bool = True, cap_version: int = 113, **fields: Any) -> GatewaySession:
        """Open a session for a node of the fake registry."""
        self._number += 1
        session = self.sessions[self._number] = GatewaySession(self._number, zstd=zstd)
        given: dict[str, Any] = {"machine_key": node.machine_key, "node_key": node.node_key, **fields}
        session.request = {"zstd": zstd, "cap_version": cap_version, **given}
        self.send(opened=pb.SessionOpened(session_id=session.id, **session.request))
        return session

    def pause(self, session: GatewaySession) -> None:
        """The client reads slowly."""
        self.send(paused=pb.SessionPaused(session_id=session.id))

    def resume(self, session: GatewaySession) -> None:
        """Open the session of a client that reads again as a gateway does: under another number, with its cursor."""
        self.send(closed=pb.SessionClosed(session_id=self.sessions.pop(session.id).id))
        self._number += 1
        session.id = self._number
        self.sessions[session.id] = session
        request = {**session.request, "cursor": session.cursor}
        self.send(opened=pb.SessionOpened(session_id=session.id, **request))

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is so; fails when it never is, or when a message was bad."""
        async with asyncio.timeout(DEADLINE):
            while not condition():
                if self.error is not None:
                    raise self.error
                self._moved.clear()
                await self._moved.wait()
        if self.error is not None:
            raise self.error

    async def map_of(self, session: GatewaySession) -> Netmap:
        """Wait for the first full map."""
        await self.until(lambda: session.fulls > 0)
        return session.netmap

    async def close(self) -> None:
        """Leave."""
        self._requests.put_nowait(None)
        self._call.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async for response in self._call:
                self._take(response)
                self._moved.set()
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.error = error
        self._moved.set()

    def _take(self, response: pb.AttachResponse) -> None:
        kind = response.WhichOneof("message")
        if kind == "frame":
            assert response.frame.frame_id not in self.frames
            self.frames[response.frame.frame_id] = response.frame.data
            self.frame_messages += 1
        elif kind == "retired":
            for frame_id in response.retired.frame_ids:
                del self.frames[frame_id]
        elif kind == "full":
            self._take_full(response.full)
        elif kind == "delta":
            self._take_delta(response.delta)
        else:
            self._take_state(kind or "", getattr(response, kind or "ended"))

    def _take_full(self, full: pb.Full) -> None:
        session = self.sessions.get(full.session_id)
        if session is None:  # under way for an earlier opening
            return
        parts = [part.data if part.WhichOneof("part") == "data" else self.frames[part.frame_id] for part in full.parts]
        message = b"".join(parts)
        session.raw.append(message)
        session.netmap.receive(message, zstd=session.zstd)
        session.fulls += 1
        session.cursor = full.cursor

    def _take_delta(self, delta: pb.Delta) -> None:
        self.delta_messages.append(delta)
        for session_id in delta.session_ids:
            session = self.sessions.get(session_id)
            if session is None:
                continue
            session.raw.append(delta.data)
            session.deltas.append(session.netmap.receive(delta.data, zstd=session.zstd))
            session.cursor = delta.cursor

    def _take_state(self, kind: str, message: Any) -> None:
        session = self.sessions.get(message.session_id)
        if session is None:
            return
        if kind == "accepted":
            session.node_id = message.node_id
        elif kind == "refused":
            session.refused = message.reason
        elif kind == "ended":
            session.ended = message.reason
