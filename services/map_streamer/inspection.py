"""The state of a tailnet as debug pages show it. Read-only: everything is computed as for clients."""

from __future__ import annotations

from datetime import datetime

from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from services.map_streamer.render import Viewer
from services.map_streamer.session import Gateway, SessionStage
from services.map_streamer.snapshot import Cursor
from services.map_streamer.tailnet import Tailnet

MAX_NODES = 1000
MAX_MAPS = 10
_TODAY = 130
"""Capability version of shown maps: that of Tailscale 1.90."""


def nodes(tailnet: Tailnet, wanted: list[int], now: datetime, *, with_map: bool) -> pb.ShowNodesResponse:
    """Return the wanted nodes, or the first 1,000 of all; 10 where full maps are included."""
    known = tailnet.view.snapshot.nodes
    ids = [node_id for node_id in (wanted or sorted(known)) if node_id in known]
    limit = MAX_MAPS if with_map else MAX_NODES
    shown = [_node(tailnet, node_id, now, with_map=with_map) for node_id in ids[:limit]]
    return pb.ShowNodesResponse(nodes=shown, more=len(ids) > limit)


def sessions(tailnet: Tailnet) -> pb.ShowSessionsResponse:
    """Return every attached gateway with its sessions and its queue."""
    return pb.ShowSessionsResponse(
        cursor=_cursor(tailnet.position),
        sent=_cursor(tailnet.view.cursor),
        window_seconds=tailnet.window.pause,
        gateways=[_gateway(gateway) for gateway in tailnet.roster.gateways()],
    )


def _node(tailnet: Tailnet, node_id: int, now: datetime, *, with_map: bool) -> pb.ShownNode:
    view = tailnet.view
    visibility = view.visibility
    class_ = visibility.class_of(node_id)
    allowed, primary = visibility.own_routes(node_id)
    return pb.ShownNode(
        id=node_id,
        given_name=view.node(node_id).given_name,
        class_number=class_,
        peer_ids=[peer for peer in visibility.visible(class_) if peer != node_id],
        packet_filter=visibility.packet_filter(node_id),
        ssh_policy=visibility.ssh_policy(node_id),
        cap_map=visibility.own_caps(node_id),
        allowed_routes=allowed,
        primary_routes=primary,
        map_response=_map_of(tailnet, node_id, now) if with_map else b"",
    )


def _map_of(tailnet: Tailnet, node_id: int, now: datetime) -> bytes:
    parts = tailnet.renderer.full(Viewer(node_id, _TODAY, zstd=False), now)
    return b"".join(part if isinstance(part, bytes) else part.data for part in parts)


def _gateway(gateway: Gateway) -> pb.ShownGateway:
    stages = [session.stage for session in gateway.sessions.values()]
    return pb.ShownGateway(
        id=gateway.id,
        live=stages.count(SessionStage.LIVE),
        behind=stages.count(SessionStage.BEHIND),
        waiting=stages.count(SessionStage.WAITING),
        opening=len(gateway.opening),
        paused=sum(session.paused for session in gateway.sessions.values()),
        queued_messages=len(gateway.outbox),
        queued_bytes=gateway.outbox.bytes,
        congested=gateway.outbox.congested,
    )


def _cursor(cursor: Cursor) -> common_pb2.Cursor:
    return common_pb2.Cursor(registry=cursor.registry, policy=cursor.policy)
