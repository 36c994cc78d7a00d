"""An `h2` client wired to a `Connection` of ours: the oracle of the HTTP/2 tests."""

from __future__ import annotations

from collections.abc import Sequence

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded
from h2.settings import SettingCodes, Settings

from gateway.edge.http2 import Connection, Limits
from gateway.edge.http2 import Event as ServerEvent

HEADERS = [(":method", "POST"), (":scheme", "https"), (":authority", "unused"), (":path", "/machine/map")]


class Peer:
    """Both ends; `run` carries bytes until neither has anything to say."""

    def __init__(self, limits: Limits | None = None, initial_window: int | None = None) -> None:
        self.server = Connection(limits or Limits())
        self.client = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        if initial_window is not None:
            window = {SettingCodes.INITIAL_WINDOW_SIZE: initial_window}
            self.client.local_settings = Settings(client=True, initial_values=window)
        self.client.initiate_connection()
        self.seen: list[ServerEvent] = []
        self.heard: list[Event] = []
        self.run()

    def run(self, piece: int | None = None) -> None:
        """Carry bytes both ways, in pieces of a given size when one is given."""
        while True:
            up = self.client.data_to_send()
            step = piece or max(len(up), 1)
            for start in range(0, len(up), step):
                self.seen += self.server.receive(up[start : start + step])
            down = b"".join(self.server.take())
            if down:
                self.heard += self.client.receive_data(down)
            elif not up:
                return

    def request(self, body: bytes = b"", headers: Sequence[tuple[str, str]] = (), method: str = "POST") -> int:
        """Send a request as far as the windows allow at once; return its stream."""
        stream_id = self.client.get_next_available_stream_id()
        head = [(":method", method), *HEADERS[1:], *headers]
        self.client.send_headers(stream_id, head, end_stream=not body)
        if body:
            self.client.send_data(stream_id, body, end_stream=True)
        self.run()
        return stream_id

    def body(self, stream_id: int) -> bytes:
        """All data the client got on a stream so far."""
        return b"".join(e.data for e in self.heard if isinstance(e, DataReceived) and e.stream_id == stream_id)

    def head(self, stream_id: int) -> dict[str, str]:
        """The header list of the answer."""
        return dict(next(e.headers for e in self.heard if isinstance(e, ResponseReceived) and e.stream_id == stream_id))

    def ended(self, stream_id: int) -> bool:
        """Whether the client saw END_STREAM."""
        return any(isinstance(e, StreamEnded) and e.stream_id == stream_id for e in self.heard)

    def heard_of(self, kind: type[Event]) -> list[Event]:
        """All events of one kind at the client."""
        return [event for event in self.heard if isinstance(event, kind)]
