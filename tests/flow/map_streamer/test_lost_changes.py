"""The bus loses and repeats messages; the logs make good for it."""

from __future__ import annotations

from smartscale.common.v1 import common_pb2

from tests.fakes.change_logs import make_node
from tests.fakes.streamer import Lab


async def test_lost_messages_are_fetched_when_the_next_one_shows_the_gap(lab: Lab) -> None:
    node = make_node(2)
    await lab.registry.put_node(make_node(1), node)
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    lab.registry.log.lose = True
    await lab.registry.put_node(make_node(3))
    await lab.registry.remove_node(2)
    lab.registry.log.lose = False
    await lab.registry.put_node(make_node(4))
    await gateway.until(lambda: sorted(session.netmap.peers) == [3, 4])
    assert session.fulls == 1


async def test_lost_messages_are_fetched_when_the_bus_comes_back(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    lab.registry.log.lose = True
    await lab.registry.put_node(make_node(2))
    lab.bus.interrupt()
    await gateway.until(lambda: 2 in session.netmap.peers)


async def test_a_last_message_that_was_lost_is_found_when_all_is_quiet(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start(quiet=0.05)
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    lab.registry.log.lose = True
    await lab.registry.put_node(make_node(2))
    await gateway.until(lambda: 2 in session.netmap.peers)


async def test_a_trimmed_log_leads_to_a_snapshot_and_sessions_get_only_the_difference(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 40)]
    await lab.registry.put_node(*nodes)
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(nodes[0])
    await gateway.map_of(session)
    lab.registry.log.lose = True
    await lab.registry.remove_node(7)
    await lab.registry.put_node(make_node(50))
    lab.registry.log.trim()
    lab.bus.interrupt()
    await gateway.until(lambda: 50 in session.netmap.peers)
    assert 7 not in session.netmap.peers
    assert session.fulls == 1
    assert [node["ID"] for node in session.deltas[-1]["PeersChanged"]] == [50]


async def test_duplicates_are_passed_over(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    tailnet = await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    batch = common_pb2.ChangeBatch(tailnet_id="default", service="registry", records=lab.registry.log.records)
    await lab.registry.log.publish(batch)
    await lab.registry.put_node(make_node(3))
    await gateway.until(lambda: 3 in session.netmap.peers)
    assert len(session.deltas) == 1
    assert tailnet.view.cursor.registry == lab.registry.log.last
