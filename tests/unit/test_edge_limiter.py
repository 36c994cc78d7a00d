"""Which connections are admitted, and which give way."""

from gateway.edge.limiter import ConnectionLimiter
from gateway.edge.settings import EdgeCounts, EdgeSettings
from services.shared.config.processes import GatewayConfig


def limiter(**limits) -> tuple[ConnectionLimiter, EdgeCounts]:
    counts = EdgeCounts()
    return ConnectionLimiter(EdgeSettings.of(GatewayConfig(**limits)), counts), counts


def nothing() -> None:
    pass


def test_the_oldest_half_open_connection_gives_way_and_authenticated_ones_never_do():
    door, counts = limiter(max_handshakes=2)
    dropped = []
    slot = [door.acquire("a", lambda n=n: dropped.append(n)) for n in range(3)]
    assert dropped == [0]

    slot[1].mark_authenticated()
    door.acquire("a", lambda: dropped.append(3))
    assert dropped == [0]
    door.acquire("a", lambda: dropped.append(4))
    assert dropped == [0, 2]
    assert (counts.half_open, counts.half_open_dropped, counts.connections) == (2, 2, 5)


def test_a_connection_that_must_authenticate_again_is_the_youngest():
    door, _ = limiter(max_handshakes=2)
    dropped = []
    first = door.acquire("a", lambda: dropped.append("first"))
    first.mark_authenticated()
    door.acquire("a", lambda: dropped.append("second"))
    first.mark_half_open()
    door.acquire("a", lambda: dropped.append("third"))

    assert dropped == ["second"]


def test_each_address_and_all_together_are_bounded_and_leaving_makes_room():
    door, counts = limiter(max_connections=3, max_connections_per_address=2)
    one, two = door.acquire("a", nothing), door.acquire("a", nothing)
    assert door.acquire("a", nothing) is None
    assert door.acquire("b", nothing) is not None
    assert door.acquire("c", nothing) is None
    assert (counts.refused_address, counts.refused_full) == (1, 1)

    one.release()
    one.release()
    assert door.acquire("c", nothing) is not None
    two.release()
    assert (counts.connections, counts.half_open) == (2, 2)


def test_who_has_left_is_counted_nowhere():
    door, counts = limiter()
    slot = door.acquire("a", nothing)
    slot.release()
    slot.mark_half_open()
    slot.mark_authenticated()
    slot.drop()

    assert (counts.connections, counts.half_open) == (0, 0)


def test_a_network_with_more_than_its_share_pays_for_its_own_newcomers():
    door, counts = limiter(max_handshakes=16)
    dropped = []
    for name in ("b", "c"):
        door.acquire(f"2001:db8:{name}::1", lambda name=name: dropped.append(name))
    for number in range(100):
        door.acquire(f"2001:db8:a::{number:x}", lambda: dropped.append("a"))

    assert counts.half_open == 16
    assert set(dropped) == {"a"}


def test_a_newcomer_of_a_small_network_takes_the_place_of_the_oldest():
    door, _ = limiter(max_handshakes=16)
    dropped = []
    for number in range(16):
        door.acquire("192.0.2.1", lambda number=number: dropped.append(number))
    door.acquire("192.0.2.2", lambda: dropped.append("other"))

    assert dropped == [0]
