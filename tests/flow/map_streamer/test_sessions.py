"""Which sessions are opened and refused, which one ends another, and what a replica says of itself."""

from __future__ import annotations

import pytest
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb
from smartscale.map_streamer.v1 import map_streamer_pb2_grpc

from services.shared.rpc import LocalChannel
from tests.fakes.change_logs import key, make_node
from tests.fakes.streamer import Lab, until


@pytest.mark.statement(69)
async def test_a_node_that_nobody_knows_is_refused(lab: Lab) -> None:
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(5))
    await gateway.until(lambda: session.refused)
    assert session.refused == pb.REFUSAL_REASON_UNKNOWN_NODE


@pytest.mark.statement(38)
async def test_a_node_of_another_machine_is_refused(lab: Lab) -> None:
    await lab.registry.put_node(make_node(5))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(5), machine_key=key(1, 6))
    await gateway.until(lambda: session.refused)
    assert session.refused == pb.REFUSAL_REASON_WRONG_MACHINE


async def test_a_node_admitted_a_moment_ago_is_accepted_though_the_bus_lost_the_news(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    other = gateway.open(make_node(1))
    await gateway.map_of(other)
    lab.registry.log.lose = True
    await lab.registry.put_node(make_node(2))
    session = gateway.open(make_node(2))
    await gateway.map_of(session)
    await gateway.until(lambda: 2 in other.netmap.peers)


@pytest.mark.statement(66)
async def test_a_session_for_one_map_ends_after_it(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    stream = gateway.open(make_node(1))
    await gateway.map_of(stream)
    once = gateway.open(make_node(1), once=True)
    await gateway.until(lambda: once.ended)
    assert once.fulls == 1
    assert once.ended == pb.END_REASON_DONE
    assert stream.ended is None


@pytest.mark.statement(67)
async def test_a_newer_session_supersedes_the_older_across_gateways(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    one, two = lab.attach("a"), lab.attach("b")
    old = one.open(make_node(1))
    await one.map_of(old)
    new = two.open(make_node(1))
    await two.map_of(new)
    await one.until(lambda: old.ended)
    assert old.ended == pb.END_REASON_SUPERSEDED


@pytest.mark.statement(67)
async def test_a_newer_session_supersedes_the_older_across_replicas(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    await lab.start()
    one, two = lab.attach("a", replica=0), lab.attach("b", replica=1)
    old = one.open(make_node(1))
    await one.map_of(old)
    new = two.open(make_node(1))
    await two.map_of(new)
    await one.until(lambda: old.ended)
    assert old.ended == pb.END_REASON_SUPERSEDED
    assert new.ended is None


async def test_the_first_message_must_be_hello(lab: Lab) -> None:
    await lab.start()
    gateway = lab.attach("")
    with pytest.raises(Exception, match="hello"):
        await gateway.until(lambda: False)


async def test_status_says_how_far_a_replica_is(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    await gateway.map_of(gateway.open(make_node(1)))
    stub = map_streamer_pb2_grpc.MapStreamerServiceStub(LocalChannel(lab.servers[0]))
    status = await stub.GetStatus(pb.GetStatusRequest())
    assert (status.nodes, status.sessions, status.gateways) == (2, 1, 1)
    assert status.cursor.registry == lab.registry.log.last
    await gateway.close()
    tailnet = lab.services[0].tailnet
    await until(lambda: not tailnet.roster.all())
