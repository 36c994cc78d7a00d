"""The bounded outbox of a gateway, and what records of other services become."""

from __future__ import annotations

import asyncio

import pytest
from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types

from services.map_streamer.ingest.records import compiled, node_record
from services.map_streamer.render import Frame
from services.map_streamer.session import GatewayOutbox
from services.shared.access.compiled import ALLOW_ALL, DENY_ALL
from services.shared.access.posture import hostinfo_attributes as attributes


def delta(size: int) -> pb.AttachResponse:
    return pb.AttachResponse(delta=pb.Delta(session_ids=[1], data=b"x" * size))


async def test_full_maps_are_built_when_their_turn_comes() -> None:
    built: list[int] = []
    outbox = GatewayOutbox(built.append, lambda: None)
    outbox.request_full(1)
    outbox.request_full(2)
    outbox.put(delta(1))
    assert (await outbox.next() or pb.AttachResponse()).WhichOneof("message") == "delta"
    assert built == []
    outbox.cancel_full(1)
    reader = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    assert built == [2]
    outbox.close()
    assert await reader is None


async def test_a_frame_is_sent_once_until_it_is_dropped_or_retired() -> None:
    outbox = GatewayOutbox(lambda _: None, lambda: None)
    frame, cursor = Frame(7, b"shared"), common_pb2.Cursor()

    async def kinds(count: int) -> list[str | None]:
        return [(await outbox.next() or pb.AttachResponse()).WhichOneof("message") for _ in range(count)]

    outbox.put_full(1, [b"own", frame], cursor)
    outbox.put_full(2, [b"own", frame], cursor)
    assert await kinds(3) == ["frame", "full", "full"]
    outbox.put_full(4, [frame, Frame(8, b"new")], cursor, whole=True)
    whole = await outbox.next()
    assert whole is not None and [part.data for part in whole.full.parts] == [b"shared", b"new"]
    outbox.drop_frames([7])
    outbox.put_full(3, [frame], cursor)
    assert await kinds(2) == ["frame", "full"]
    outbox.retire([7, 8])
    outbox.retire([7])
    outbox.put(delta(1))
    assert await kinds(2) == ["retired", "delta"]


async def test_a_congested_outbox_is_relieved_once_it_has_drained() -> None:
    relieved: list[bool] = []
    outbox = GatewayOutbox(lambda _: None, lambda: relieved.append(True), high=1000)
    for _ in range(4):
        outbox.put(delta(300))
    assert outbox.congested
    await outbox.next()
    await outbox.next()
    assert outbox.congested
    await outbox.next()
    assert not outbox.congested
    assert relieved == [True]


def test_a_policy_that_cannot_be_read_denies_everything() -> None:
    assert compiled(ALLOW_ALL.to_bytes()) == ALLOW_ALL
    assert compiled(b"{") == DENY_ALL
    assert compiled(b'{"format":99}') == DENY_ALL


@pytest.mark.parametrize("hostinfo", [b"", b"{", b"[]", b"5", b"\xff"])
def test_a_record_with_bad_hostinfo_is_a_node_without_any(hostinfo: bytes) -> None:
    record = node_record(node_types.Node(id=1, hostinfo=hostinfo))
    assert record.hostinfo == b"{}"


def test_posture_attributes_come_from_hostinfo() -> None:
    said = b'{"OS":"macOS","OSVersion":"14.1","IPNVersion":"1.90.9-tabc","AllowsUpdate":true}'
    assert dict(attributes(said)) == {
        "node:os": "macos",
        "node:osVersion": "14.1",
        "node:tsVersion": "1.90.9",
        "node:tsReleaseTrack": "stable",
        "node:tsAutoUpdate": "true",
    }
    assert attributes(b"") == ()
