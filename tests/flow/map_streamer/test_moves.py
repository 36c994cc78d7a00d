"""A session that moves between replicas whose windows differ: what lay between two views is told again or removed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.map_streamer.tailnet import Tailnet
from services.shared.access.compiled import ALLOW_ALL, Alias, AliasKind, CompiledPolicy, Grant, NetworkAccess
from tests.fakes.change_logs import changed, make_node, make_user
from tests.fakes.clock import FakeClock
from tests.fakes.gateway_stream import GatewaySession
from tests.fakes.streamer import Lab, streamer_lab, until

USER1 = Alias(AliasKind.USER, "user1@example.com")
ONE_ALONE = CompiledPolicy(grants=(Grant((USER1,), (USER1,), (NetworkAccess(),)),))


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """Views are made only when a test says so: no interval ends."""
    async with streamer_lab(FakeClock()) as made:
        await made.registry.put_user(make_user(2))
        await made.registry.put_node(make_node(1), make_node(2), make_node(3, user_id=2))
        yield made


async def _caught_up(lab: Lab, tailnet: Tailnet) -> None:
    await until(lambda: tailnet.position.registry == lab.registry.log.last)
    await until(lambda: tailnet.position.policy == lab.policy.log.last)


async def _told_between(lab: Lab, *changes: object) -> tuple[GatewaySession, GatewaySession]:
    """Apply two changes; the first replica tells the first, the second one folds both at once and takes over."""
    one, two = await lab.start(), await lab.start()
    gateway = lab.attach("a", replica=0)
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    first, second = changes
    await first  # type: ignore[misc]
    await _caught_up(lab, one)
    one.flush()
    await gateway.until(lambda: session.deltas)
    await gateway.close()
    await second  # type: ignore[misc]
    await _caught_up(lab, two)
    two.flush()
    other = lab.attach("a", replica=1)
    moved = other.open(make_node(1), cursor=session.cursor)
    moved.netmap = session.netmap
    await other.until(lambda: moved.deltas or moved.fulls > 0 or moved.ended)
    return session, moved


async def test_a_value_that_went_and_came_back_is_told_again(lab: Lab) -> None:
    there = changed(make_node(2), endpoints=["203.0.113.1:1"])
    _, moved = await _told_between(lab, lab.registry.put_node(there), lab.registry.put_node(make_node(2)))
    assert moved.netmap.peers[2]["Endpoints"] == ["192.168.0.2:41641"]
    assert moved.fulls == 0


async def test_a_node_that_came_and_went_is_removed(lab: Lab) -> None:
    await lab.registry.put_node(make_node(8))

    async def leave() -> None:
        await lab.registry.remove_node(9)

    session, moved = await _told_between(lab, lab.registry.put_node(make_node(9)), leave())
    assert session.deltas[0]["PeersChanged"][0]["ID"] == 9
    assert sorted(moved.netmap.peers) == [2, 3, 8]
    assert moved.fulls == 0


async def test_a_policy_that_went_and_came_back_leads_to_a_full_map(lab: Lab) -> None:
    session, moved = await _told_between(lab, lab.policy.put(ONE_ALONE), lab.policy.put(ALLOW_ALL))
    assert session.deltas[0]["PeersRemoved"] == [3]
    assert sorted(moved.netmap.peers) == [2, 3]
    assert moved.fulls == 1


async def test_a_session_told_more_than_a_replica_knows_waits_for_it_to_catch_up(lab: Lab) -> None:
    one, two = await lab.start(), await lab.start()
    lab.bus.interrupt()
    gateway = lab.attach("a", replica=0)
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    lab.registry.log.lose = True
    await lab.registry.put_node(make_node(9))
    await one.refresh()
    one.flush()
    await gateway.until(lambda: 9 in session.netmap.peers)
    await gateway.close()
    await lab.registry.put_node(make_node(10))
    assert two.view.cursor.registry < lab.registry.log.last
    other = lab.attach("a", replica=1)
    moved = other.open(make_node(1), cursor=session.cursor)
    moved.netmap = session.netmap
    await other.until(lambda: sorted(moved.netmap.peers) == [2, 3, 9, 10])


async def test_a_session_that_slept_through_much_ado_about_nothing_is_told_nothing_when_it_comes_back(lab: Lab) -> None:
    tailnet = await lab.start()
    gateway = lab.attach("a")
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    await gateway.close()
    stun = make_node(2, endpoints=["10.0.0.2:1", "203.0.113.1:1"], endpoint_types=[1, 2])
    for number in range(150):
        await lab.registry.put_node(changed(stun, endpoints=["10.0.0.2:1", f"203.0.113.1:{number + 1}"]))
        await _caught_up(lab, tailnet)
        tailnet.flush()
    other = lab.attach("a")
    moved = other.open(make_node(1), cursor=session.cursor)
    moved.netmap = session.netmap
    await lab.registry.put_node(make_node(9))
    await _caught_up(lab, tailnet)
    await other.until(lambda: moved.node_id)
    tailnet.flush()
    await other.until(lambda: 9 in moved.netmap.peers)
    assert moved.fulls == 0
    # The first of the moves brought an endpoint that was not there before; nothing else was worth a word.
    told = [delta for delta in moved.deltas if "PeersChangedPatch" in delta]
    assert len(told) == 1
