"""The timer wheel on a clock of the test's."""

import pytest

from gateway.edge.wheel import SLICE, TimerWheel


class Loop:
    """A clock, and the one handle that the wheel may have."""

    def __init__(self) -> None:
        self.time = 1000.03
        self.handles: list[tuple[float, object]] = []

    def now(self) -> float:
        return self.time

    def call_later(self, delay, callback):
        self.handles.append((self.time + delay, callback))

    def advance(self, seconds: float, step: float = 0.01) -> None:
        end = self.time + seconds
        while self.time < end:
            self.time += step
            due = [callback for at, callback in self.handles if at <= self.time]
            self.handles = [(at, callback) for at, callback in self.handles if at > self.time]
            for callback in due:
                callback()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def wheel(loop: Loop) -> TimerWheel:
    return TimerWheel(loop.now, loop.call_later)


@pytest.mark.parametrize("seconds", [0, 0.01, 0.1, 0.15, 1, 7.77])
def test_a_deadline_is_never_early_and_at_most_two_ticks_late(loop, wheel, seconds):
    fired = []
    start = loop.time
    wheel.after(seconds, lambda: fired.append(loop.time - start))

    loop.advance(seconds + 0.5)

    assert len(fired) == 1
    assert seconds <= fired[0] <= seconds + 0.22


def test_a_cancelled_deadline_never_fires(loop, wheel):
    fired = []
    timer = wheel.after(1, lambda: fired.append(1))
    timer.cancel()
    timer.cancel()

    loop.advance(2)

    assert fired == []


def test_a_thousand_deadlines_share_one_handle_and_none_is_left_when_all_fired(loop, wheel):
    fired = []
    for number in range(1000):
        wheel.after(number / 100, lambda: fired.append(1))
    assert len(loop.handles) == 1

    loop.advance(11)

    assert len(fired) == 1000
    assert loop.handles == []


def test_a_deadline_may_arm_the_next_even_after_a_long_stop(loop, wheel):
    fired = []
    wheel.after(1, lambda: (fired.append("a"), wheel.after(1, lambda: fired.append("b"))))

    loop.advance(50, step=50)
    assert fired == ["a"]
    loop.advance(2)
    assert fired == ["a", "b"]

    wheel.after(0.1, lambda: fired.append("c"))
    loop.advance(0.5)
    assert fired == ["a", "b", "c"]


def test_many_deadlines_of_one_moment_leave_the_loop_its_turns(loop, wheel):
    fired = []
    for number in range(1000):
        wheel.after(1, lambda number=number: fired.append(number))

    most, before = 0, 0
    for _ in range(1000):
        loop.advance(0.01)
        most, before = max(most, len(fired) - before), len(fired)

    assert fired == list(range(1000))
    assert 0 < most <= SLICE
    assert loop.handles == []


def test_what_is_taken_back_while_others_of_its_moment_fire_does_not(loop, wheel):
    fired = []
    timers = [wheel.after(1, lambda: fired.append(timers[-1].cancel())) for _ in range(SLICE + 1)]

    loop.advance(3)

    assert len(fired) == SLICE


def test_a_fault_in_one_deadline_leaves_the_others_alone(loop, wheel, caplog):
    fired = []
    wheel.after(1, lambda: 1 / 0)
    wheel.after(1, lambda: fired.append(1))

    loop.advance(2)

    assert fired == [1]
    assert [record.getMessage() for record in caplog.records] == ["timer failed"]
