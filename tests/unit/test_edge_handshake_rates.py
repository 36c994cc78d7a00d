"""How often addresses and machines may open tunnels."""

from __future__ import annotations

from gateway.edge.handshake_rates import HandshakeRates
from gateway.edge.settings import EdgeCounts, EdgeSettings
from services.shared.config.processes import GatewayConfig
from services.shared.keys import MachineKey

ONE, OTHER = MachineKey(b"\1" * 32), MachineKey(b"\2" * 32)


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def attempts(**limits: float) -> tuple[HandshakeRates, EdgeCounts, Clock]:
    counts, clock = EdgeCounts(), Clock()
    return HandshakeRates(EdgeSettings.of(GatewayConfig(**limits)), counts, clock), counts, clock  # type: ignore[arg-type]


def test_a_machine_that_comes_too_often_waits_and_others_do_not() -> None:
    limit, counts, clock = attempts(reconnects_per_second=2)
    assert [limit.charge_machine(ONE) for _ in range(32)] == [0] * 30 + [1, 1]
    assert limit.charge_machine(OTHER) == 0
    clock.now += 0.5
    assert [limit.charge_machine(ONE) for _ in range(2)] == [0, 1]
    assert (counts.refused_machine_rate, counts.refused_address_rate) == (3, 0)


def test_an_address_is_that_of_a_subscriber() -> None:
    limit, counts, _ = attempts(handshakes_per_second=0.1)
    assert [limit.charge_network(address) for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")] == [
        0,
        10,
        0,
    ]
    assert [limit.charge_network(address) for address in ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2")] == [0, 10, 0]
    assert counts.refused_address_rate == 2


def test_zero_is_no_limit() -> None:
    limit, counts, _ = attempts(reconnects_per_second=0, handshakes_per_second=0)
    assert not any(limit.charge_machine(ONE) or limit.charge_network("192.0.2.1") for _ in range(10_000))
    assert counts == EdgeCounts()
