"""Who may come in, and who must give way."""

from gateway.edge.gate import Gate
from gateway.edge.settings import EdgeCounts, EdgeSettings


def gate(**limits) -> tuple[Gate, EdgeCounts]:
    counts = EdgeCounts()
    return Gate(EdgeSettings(**limits), counts), counts


def nothing() -> None:
    pass


def test_the_oldest_half_open_connection_gives_way_and_proved_ones_never_do():
    door, counts = gate(max_half_open=2)
    dropped = []
    visits = [door.enter("a", lambda n=n: dropped.append(n)) for n in range(3)]
    assert dropped == [0]

    visits[1].proved()
    door.enter("a", lambda: dropped.append(3))
    assert dropped == [0]
    door.enter("a", lambda: dropped.append(4))
    assert dropped == [0, 2]
    assert (counts.half_open, counts.half_open_dropped, counts.connections) == (2, 2, 5)


def test_a_connection_that_must_prove_itself_anew_is_the_youngest():
    door, _ = gate(max_half_open=2)
    dropped = []
    first = door.enter("a", lambda: dropped.append("first"))
    first.proved()
    door.enter("a", lambda: dropped.append("second"))
    first.half_open_again()
    door.enter("a", lambda: dropped.append("third"))

    assert dropped == ["second"]


def test_each_address_and_all_together_are_bounded_and_leaving_makes_room():
    door, counts = gate(max_connections=3, max_connections_per_address=2)
    one, two = door.enter("a", nothing), door.enter("a", nothing)
    assert door.enter("a", nothing) is None
    assert door.enter("b", nothing) is not None
    assert door.enter("c", nothing) is None
    assert (counts.refused_address, counts.refused_full) == (1, 1)

    one.left()
    one.left()
    assert door.enter("c", nothing) is not None
    two.left()
    assert (counts.connections, counts.half_open) == (2, 2)


def test_who_has_left_is_counted_nowhere():
    door, counts = gate()
    visit = door.enter("a", nothing)
    visit.left()
    visit.half_open_again()
    visit.proved()
    visit.drop()

    assert (counts.connections, counts.half_open) == (0, 0)
