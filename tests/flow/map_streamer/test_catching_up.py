"""Sessions and gateways that read nothing for a while, or come from another replica, and what brings them up again."""

from __future__ import annotations

from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from tests.fakes.change_logs import changed, make_node
from tests.fakes.streamer import Lab, until


async def test_a_paused_session_gets_one_merged_message_when_it_reads_again(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 5)]
    await lab.registry.put_node(*nodes)
    tailnet = await lab.start()
    gateway = lab.attach()
    slow, quick = gateway.open(nodes[0]), gateway.open(nodes[1])
    await gateway.map_of(slow)
    await gateway.map_of(quick)
    gateway.pause(slow)
    await until(lambda: any(session.paused for session in tailnet.roster.all()))
    await lab.registry.put_node(changed(nodes[2], endpoints=["203.0.113.3:1"]))
    await gateway.until(lambda: len(quick.deltas) == 1)
    await lab.registry.put_node(changed(nodes[2], endpoints=["203.0.113.3:2"]), make_node(9))
    await gateway.until(lambda: 9 in quick.netmap.peers)
    await lab.registry.remove_node(4)
    await gateway.until(lambda: 4 not in quick.netmap.peers)
    assert slow.deltas == []
    gateway.resume(slow)
    await gateway.until(lambda: slow.deltas)
    assert len(slow.deltas) == 1
    assert slow.fulls == 1
    assert sorted(slow.netmap.peers) == [2, 3, 9]
    assert slow.netmap.peers[3] == quick.netmap.peers[3]


async def test_a_session_paused_for_too_long_gets_a_full_map(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 4)]
    await lab.registry.put_node(*nodes)
    tailnet = await lab.start()
    gateway = lab.attach()
    slow = gateway.open(nodes[0])
    await gateway.map_of(slow)
    gateway.pause(slow)
    await until(lambda: tailnet.roster.all()[0].paused)
    for number in range(70):
        await lab.registry.put_node(changed(nodes[1], endpoints=[f"203.0.113.3:{number + 1}"]))
        await until(lambda: tailnet.position.registry == lab.registry.log.last)
        tailnet.flush()
    gateway.resume(slow)
    await gateway.until(lambda: slow.fulls == 2)
    assert slow.netmap.peers[2]["Endpoints"] == ["203.0.113.3:70"]
    assert slow.deltas == []


async def test_a_session_moves_to_another_replica_and_gets_what_it_missed(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 5)]
    await lab.registry.put_node(*nodes)
    await lab.start()
    await lab.start()
    one = lab.attach("a", replica=0)
    session = one.open(nodes[0])
    await one.map_of(session)
    held = session.cursor
    await one.close()
    await lab.registry.put_node(changed(nodes[2], endpoints=["203.0.113.3:1"]))
    await lab.registry.remove_node(4)
    two = lab.attach("a", replica=1)
    moved = two.open(nodes[0], cursor=held)
    moved.netmap = session.netmap
    await two.until(lambda: 4 not in moved.netmap.peers)
    assert moved.fulls == 0
    assert moved.netmap.peers[3]["Endpoints"] == ["203.0.113.3:1"]


async def test_a_session_that_holds_what_nobody_remembers_gets_a_full_map(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1), cursor=common_pb2.Cursor(registry=1, policy=0))
    await gateway.map_of(session)
    assert sorted(session.netmap.peers) == [2]


async def test_a_session_without_peers_that_cannot_be_mended_ends(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1), cursor=common_pb2.Cursor(registry=1, policy=0))
    await gateway.until(lambda: session.ended)
    assert session.ended == pb.END_REASON_RESYNC


async def test_a_gateway_that_does_not_read_costs_a_position_and_then_one_delta(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 4)]
    await lab.registry.put_node(*nodes)
    tailnet = await lab.start()
    gateway = lab.attach()
    session = gateway.open(nodes[0])
    await gateway.map_of(session)
    (attached,) = tailnet.roster.gateways()
    attached.outbox.congested = True
    await lab.registry.put_node(changed(nodes[1], endpoints=["203.0.113.3:1"]))
    await until(lambda: tailnet.view.cursor.registry == lab.registry.log.last)
    await lab.registry.put_node(changed(nodes[2], endpoints=["203.0.113.3:2"]))
    await until(lambda: tailnet.view.cursor.registry == lab.registry.log.last)
    assert session.deltas == []
    attached.outbox.put(pb.AttachResponse(retired=pb.FramesRetired()))
    await gateway.until(lambda: session.deltas)
    assert [patch["NodeID"] for patch in session.deltas[0]["PeersChangedPatch"]] == [2, 3]
    assert len(session.deltas) == 1
