"""When the others hear of a node that has just joined."""

from __future__ import annotations

from tests.fakes.change_logs import make_node, make_user
from tests.fakes.clock import FakeClock
from tests.fakes.streamer import Lab, streamer_lab, until


async def test_a_node_that_joins_is_told_whole_with_its_owner(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    await lab.registry.put_user(make_user(2))
    await lab.registry.put_node(make_node(2, user_id=2))
    await gateway.until(lambda: 2 in session.netmap.peers)
    assert session.netmap.profiles[2]["LoginName"] == "user2@example.com"
    assert "Peers" not in session.deltas[-1]


async def test_a_newcomer_has_its_map_at_once_and_the_others_hear_of_it_when_it_is_there() -> None:
    clock = FakeClock()
    async with streamer_lab(clock) as lab:
        await lab.registry.put_node(make_node(1))
        tailnet = await lab.start()
        gateway = lab.attach()
        others = gateway.open(make_node(1))
        await gateway.map_of(others)
        for number in (2, 3):
            await lab.registry.put_node(make_node(number, online=False))
            newcomer = gateway.open(make_node(number))
            assert sorted((await gateway.map_of(newcomer)).peers) == list(range(1, number))
        assert others.deltas == []
        await lab.registry.put_node(make_node(2, online=True))
        await until(lambda: tailnet.position.registry == lab.registry.log.last)
        clock.advance(0.02)
        await gateway.until(lambda: others.deltas)
        assert len(others.deltas) == 1
        assert {peer: node["Online"] for peer, node in others.netmap.peers.items()} == {2: True, 3: False}
        await gateway.until(lambda: newcomer.netmap.peers[2]["Online"])


async def test_a_newcomer_that_never_comes_is_told_a_moment_later() -> None:
    clock = FakeClock()
    async with streamer_lab(clock) as lab:
        await lab.registry.put_node(make_node(1))
        tailnet = await lab.start()
        gateway = lab.attach()
        others = gateway.open(make_node(1))
        await gateway.map_of(others)
        await lab.registry.put_node(make_node(2, online=False))
        await until(lambda: tailnet.position.registry == lab.registry.log.last)
        clock.advance(0.3)
        await lab.registry.put_node(make_node(3, online=False))
        await gateway.until(lambda: 2 in others.netmap.peers)
