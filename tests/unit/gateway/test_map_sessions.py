"""What happens to map sessions between tunnels and the map streamer, with every clock in the test's hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
import pytest
import zstandard
from prometheus_client import CollectorRegistry

from gateway.machine.map_framing import PLAIN_KEEPALIVE, ZSTD_KEEPALIVE, length_prefix
from gateway.machine.map_sessions import MapSessions
from gateway.machine.metrics import MachineMetrics
from gateway.machine.refusal import OVERLOADED, UNKNOWN_NODE
from gateway.machine.session import Cursor, MapSession, MapSessionRequest
from gateway.machine.session_interfaces import Timing
from services.shared.keys import MachineKey, NodeKey
from tests.fakes.tunnel import FakeResponder, FakeTime, FakeWriter

CURSOR = Cursor(registry=5, policy=1)
LATER = Cursor(registry=6, policy=1)


def ask(machine: int = 1, node: int = 1, *, zstd: bool = False, once: bool = False) -> MapSessionRequest:
    """A well-formed wish for a map."""
    return MapSessionRequest(MachineKey(bytes([machine] * 32)), NodeKey(bytes([node] * 32)), 113, zstd, once)


class Up:
    """What the map streamer hears."""

    def __init__(self) -> None:
        self.attached = True
        self.sent: list[tuple[str, int]] = []
        self.cursor: dict[int, Cursor | None] = {}
        self.whole: dict[int, bool] = {}

    def opened(self, session: MapSession) -> None:
        self.sent.append(("opened", session.route))
        self.cursor[session.route] = session.cursor
        self.whole[session.route] = session.needs_whole_map

    def closed(self, route: int) -> None:
        self.sent.append(("closed", route))

    def paused(self, route: int) -> None:
        self.sent.append(("paused", route))

    def dropped(self, frame_ids: Sequence[int]) -> None:
        self.sent.extend(("dropped", frame_id) for frame_id in frame_ids)


class Seen:
    """What presence hears."""

    def __init__(self) -> None:
        self.online: dict[int, int] = {}
        self.log: list[str] = []

    def opened(self, session_id: int, node_id: int) -> None:
        self.online[session_id] = node_id
        self.log.append(f"+{node_id}")

    def closed(self, session_id: int, *, lost: bool = False) -> None:
        self.log.append(f"{'!' if lost else '-'}{self.online.pop(session_id)}")


class Scene:
    """Map sessions with everything around them faked."""

    def __init__(self, timing: Timing) -> None:
        self.time, self.up, self.seen = FakeTime(), Up(), Seen()
        self.removed: list[MapSessionRequest] = []
        self.sessions = MapSessions(
            self.time, self.time.after, self.seen, MachineMetrics(CollectorRegistry()), timing, self.removed.append
        )
        self.sessions.set_uplink(self.up)

    def live(self, wish: MapSessionRequest, node_id: int = 7) -> tuple[MapSession, FakeWriter]:
        """A session that was accepted and has its full map."""
        responder = FakeResponder()
        session = self.sessions.open(wish, responder)
        self.sessions.accepted(session.route, node_id)
        self.sessions.full(session.route, [b'{"Node":{}}'], CURSOR)
        assert responder.writer is not None
        responder.writer.messages.clear()
        return session, responder.writer


@pytest.fixture
def scene() -> Scene:
    return Scene(Timing(jitter=0.0))


def message(text: bytes) -> bytes:
    """A framed message."""
    return length_prefix(len(text)) + text


@pytest.mark.statement(71, 72)
def test_acceptance_is_the_head_and_a_full_map_its_frames_in_order_behind_a_little_endian_length(
    scene: Scene,
) -> None:
    responder = FakeResponder()
    session = scene.sessions.open(ask(), responder)
    assert responder.status is None
    scene.sessions.accepted(session.route, 7)
    assert responder.status == 200 and responder.writer is not None
    scene.sessions.frame(4, b"shared")
    scene.sessions.full(session.route, [b"head", 4, b"tail"], CURSOR)
    assert responder.writer.body == b"\x0e\0\0\0headsharedtail"
    assert session.cursor == CURSOR


@pytest.mark.statement(69)
def test_a_refused_session_gets_its_status_and_is_forgotten(scene: Scene) -> None:
    responder = FakeResponder()
    session = scene.sessions.open(ask(once=True), responder)
    scene.sessions.refused(session.route, UNKNOWN_NODE, again=False)
    assert responder.status == 404
    assert len(scene.sessions) == 0
    assert scene.seen.log == []


@pytest.mark.parametrize("zstd", [False, True])
def test_a_device_that_is_unknown_is_logged_out_by_a_last_map_that_is_held(scene: Scene, zstd: bool) -> None:
    responder = FakeResponder()
    session = scene.sessions.open(ask(zstd=zstd), responder)
    scene.sessions.refused(session.route, UNKNOWN_NODE, again=False)
    assert responder.status == 200 and responder.writer is not None
    [message] = responder.writer.messages
    body = zstandard.ZstdDecompressor().decompress(message[4:]) if zstd else message[4:]
    node = orjson.loads(body)["Node"]
    assert node["Key"] == str(session.request.node_key)
    assert datetime.fromisoformat(node["KeyExpiry"]) < datetime(2001, 1, 1, tzinfo=UTC)

    scene.time.advance(120)
    assert len(responder.writer.messages) >= 3 and not responder.writer.closed
    scene.up.sent.clear()
    scene.sessions.attach()
    responder.writer.reset()
    assert (len(scene.sessions), scene.up.sent, scene.seen.log) == (0, [], [])


def test_one_last_map_is_held_for_each_machine(scene: Scene) -> None:
    first, second, other, again = (FakeResponder() for _ in range(4))
    for responder, machine in ((first, 1), (second, 1), (other, 2)):
        session = scene.sessions.open(ask(machine, node=responder is first), responder)
        scene.sessions.refused(session.route, UNKNOWN_NODE, again=False)
    assert (first.status, second.status, other.status) == (200, 404, 200)
    assert first.writer is not None
    first.writer.reset()
    session = scene.sessions.open(ask(1), again)
    scene.sessions.refused(session.route, UNKNOWN_NODE, again=False)
    assert again.status == 200


def test_too_much_under_way_is_told_with_the_time_to_come_back(scene: Scene) -> None:
    responder = FakeResponder()
    session = scene.sessions.open(ask(), responder)
    scene.sessions.refused(session.route, OVERLOADED, again=True)
    assert (responder.status, responder.headers) == (503, {"retry-after": "1"})


def test_a_session_that_nobody_accepts_ends_in_503_and_is_closed_upstream(scene: Scene) -> None:
    responder = FakeResponder()
    session = scene.sessions.open(ask(), responder)
    scene.time.advance(30.0)
    assert responder.status == 503
    assert ("closed", session.route) in scene.up.sent


@pytest.mark.statement(67)
def test_a_newer_stream_of_the_same_node_ends_the_older_and_presence_never_flaps(scene: Scene) -> None:
    _, old = scene.live(ask())
    _, new = scene.live(ask())
    assert old.ended and not new.ended
    assert scene.seen.log == ["+7", "+7", "-7"]


@pytest.mark.statement(40)
def test_two_nodes_of_one_machine_keep_a_session_each(scene: Scene) -> None:
    _, first = scene.live(ask(node=1), 1)
    _, second = scene.live(ask(node=2), 2)
    assert not first.ended and not second.ended


@pytest.mark.statement(33)
def test_a_reset_ends_the_session_upstream_and_for_presence(scene: Scene) -> None:
    session, writer = scene.live(ask())
    writer.reset()
    assert scene.up.sent[-1] == ("closed", session.route)
    assert scene.seen.log == ["+7", "-7"]
    assert len(scene.sessions) == 0


@pytest.mark.statement(33)
def test_a_client_that_goes_before_acceptance_leaves_nothing(scene: Scene) -> None:
    responder = FakeResponder()
    session = scene.sessions.open(ask(), responder)
    responder.reset()
    scene.sessions.accepted(session.route, 7)
    assert responder.status is None and len(scene.sessions) == 0
    assert scene.seen.log == []


@pytest.mark.statement(77, 78)
def test_silence_is_broken_by_the_constant_keepalive_every_interval(scene: Scene) -> None:
    _, plain = scene.live(ask(1, 1), 1)
    _, packed = scene.live(ask(2, 2, zstd=True), 2)
    scene.time.advance(101.0)
    assert plain.messages == [PLAIN_KEEPALIVE] * 2
    assert packed.messages == [ZSTD_KEEPALIVE] * 2


@pytest.mark.statement(77)
def test_anything_sent_puts_the_keepalive_off(scene: Scene) -> None:
    session, writer = scene.live(ask())
    scene.time.advance(30.0)
    scene.sessions.delta([session.route], message(b"{}"), LATER)
    scene.time.advance(49.0)
    assert writer.messages == [b"\x02\0\0\0{}"]
    scene.time.advance(1.5)
    assert writer.messages[1:] == [PLAIN_KEEPALIVE]


def test_jitter_keeps_within_its_bound() -> None:
    scene = Scene(Timing(keepalive=50.0, jitter=9.0))
    writers = [scene.live(ask(n, n), n)[1] for n in range(1, 50)]
    scene.time.advance(49.9)
    assert not any(writer.messages for writer in writers)
    scene.time.advance(9.2)
    assert all(writer.messages == [PLAIN_KEEPALIVE] for writer in writers)


@pytest.mark.statement(73)
def test_a_delta_before_the_full_map_is_not_sent(scene: Scene) -> None:
    responder = FakeResponder()
    session = scene.sessions.open(ask(), responder)
    scene.sessions.accepted(session.route, 7)
    scene.sessions.delta([session.route], message(b"{}"), LATER)
    assert responder.writer is not None and responder.writer.messages == []


@pytest.mark.statement(90)
def test_a_slow_reader_is_queued_nothing_and_opened_anew_from_what_it_holds(scene: Scene) -> None:
    session, writer = scene.live(ask())
    former = session.route
    writer.paused = True
    scene.sessions.delta([former], message(b"one"), LATER)
    scene.sessions.delta([former], message(b"two"), LATER)
    assert writer.messages == []
    assert scene.up.sent.count(("paused", former)) == 1
    writer.resume()
    assert scene.up.sent[-2:] == [("closed", former), ("opened", session.route)]
    assert session.route != former and scene.up.cursor[session.route] == CURSOR
    scene.sessions.delta([former], message(b"stray"), LATER)
    scene.sessions.delta([session.route], message(b"merged"), LATER)
    assert writer.messages == [b"\x06\0\0\0merged"]


def test_a_pause_without_a_missed_message_costs_nothing_upstream(scene: Scene) -> None:
    _, writer = scene.live(ask())
    before = list(scene.up.sent)
    writer.paused = True
    writer.resume()
    assert scene.up.sent == before


def test_a_client_that_does_not_read_for_a_minute_is_cut_off(scene: Scene) -> None:
    session, writer = scene.live(ask())
    writer.paused = True
    scene.sessions.delta([session.route], message(b"{}"), LATER)
    scene.time.advance(59.0)
    assert not writer.closed
    scene.time.advance(1.1)
    assert writer.aborted
    assert scene.seen.log == ["+7", "-7"]


def test_another_map_streamer_takes_over_with_what_each_session_holds_and_clients_notice_nothing(scene: Scene) -> None:
    session, writer = scene.live(ask())
    waiting = scene.sessions.open(ask(2, 2), FakeResponder())
    scene.up.attached = False
    scene.up.sent.clear()
    scene.up.attached = True
    scene.sessions.attach()
    assert scene.up.sent == [("opened", session.route), ("opened", waiting.route)]
    assert scene.up.cursor == {session.route: CURSOR, waiting.route: None}
    scene.sessions.accepted(session.route, 7)
    scene.sessions.delta([session.route], message(b"{}"), LATER)
    assert writer.messages == [b"\x02\0\0\0{}"] and not writer.closed
    assert scene.seen.log == ["+7"]


def test_a_live_session_that_is_too_much_now_asks_again_later(scene: Scene) -> None:
    session, writer = scene.live(ask())
    scene.sessions.attach()
    scene.sessions.refused(session.route, OVERLOADED, again=True)
    assert not writer.closed
    scene.up.sent.clear()
    scene.time.advance(2.0)
    assert ("opened", session.route) in scene.up.sent


def test_a_deleted_node_loses_its_session_and_its_last_report(scene: Scene) -> None:
    session, writer = scene.live(ask())
    scene.sessions.ended(session.route, "removed")
    assert writer.ended and scene.removed == [session.request]
    assert ("closed", session.route) not in scene.up.sent


@pytest.mark.statement(66)
def test_a_single_map_ends_after_it_and_counts_for_no_presence(scene: Scene) -> None:
    _, stream = scene.live(ask())
    responder = FakeResponder()
    session = scene.sessions.open(ask(once=True), responder)
    scene.sessions.accepted(session.route, 7)
    scene.sessions.full(session.route, [b"map"], CURSOR)
    scene.sessions.ended(session.route, "done")
    assert responder.writer is not None
    assert responder.writer.body == b"\x03\0\0\0map" and responder.writer.ended
    assert not stream.ended and scene.seen.log == ["+7"]


def test_a_forgotten_frame_makes_the_session_ask_for_its_map_anew(scene: Scene) -> None:
    responder = FakeResponder()
    session = scene.sessions.open(ask(), responder)
    former = session.route
    scene.sessions.accepted(former, 7)
    scene.sessions.full(former, [99], CURSOR)
    assert scene.up.sent[-2:] == [("closed", former), ("opened", session.route)]
    assert scene.up.cursor[session.route] is None
    assert scene.up.whole == {former: False, session.route: True}
    scene.sessions.full(session.route, [b"all of it"], CURSOR)
    assert responder.writer is not None and responder.writer.body == b"\x09\0\0\0all of it"
    assert not session.needs_whole_map


def test_full_maps_in_flight_stay_within_their_budget_first_come_first_served() -> None:
    scene = Scene(Timing(jitter=0.0, initial_map_bytes=100 << 10))
    responders = [FakeResponder() for _ in range(3)]
    opened = [scene.sessions.open(ask(n + 1, n + 1), responder) for n, responder in enumerate(responders)]
    assert scene.up.sent == [("opened", opened[0].route)]
    scene.sessions.accepted(opened[0].route, 1)
    writer = responders[0].writer
    assert writer is not None
    writer.send = _takes_and_pauses(writer)  # type: ignore[method-assign]
    scene.sessions.full(opened[0].route, [bytes(90 << 10)], CURSOR)
    assert len(scene.up.sent) == 1
    writer.resume()
    assert scene.up.sent[1:] == [("opened", opened[1].route)]
    responders[1].reset()
    assert ("opened", opened[2].route) in scene.up.sent


def _takes_and_pauses(writer: FakeWriter):  # type: ignore[no-untyped-def]
    def send(buffers: Sequence[bytes]) -> bool:
        writer.messages.append(b"".join(buffers))
        writer.paused = True
        return True

    return send


def test_stopping_ends_every_session(scene: Scene) -> None:
    _, writer = scene.live(ask())
    waiting = FakeResponder()
    scene.sessions.open(ask(2, 2), waiting)
    scene.sessions.stop()
    assert writer.ended and waiting.status == 503
    assert len(scene.sessions) == 0
