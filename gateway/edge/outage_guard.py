"""Distinguishes lost peers from an outage of this process or its uplink. Knows numbers and times, no connection.

A peer that does not answer a PING is lost, unless the cause may be here: the event loop stood still meanwhile, or more
than a third of all that were asked did not answer. Such a round is discarded once. When a peer misses a second PING it
is lost if at least one other peer answered, since then loop and uplink work; after a minute of missed PINGs it is lost
in any case.
"""

from __future__ import annotations

from collections.abc import Callable

WINDOW = 10.0
"""Seconds over which PINGs and answers are compared."""
SHARE = 3
"""More than 1/3 of the PINGs of a window unanswered may be an outage of ours."""
PATIENCE = 12
"""Missed PINGs in a row after which a peer is lost even if no peer answers."""


class _Window:
    """Counts of one window."""

    __slots__ = ("answered", "number", "sent")

    def __init__(self, number: int) -> None:
        self.number = number
        self.sent = self.answered = 0


class OutageGuard:
    """Counts the PINGs of all tunnels; `stalled_since` returns whether the event loop stood still since a time."""

    def __init__(self, now: Callable[[], float], stalled_since: Callable[[float], bool]) -> None:
        self._now, self._stalled_since = now, stalled_since
        self._current = self._previous = _Window(0)
        self.discarded = 0
        """Missed PINGs that were not taken for a loss."""

    def sent(self) -> None:
        """Count a PING."""
        self._window().sent += 1

    def answered(self) -> None:
        """Count an answer."""
        self._window().answered += 1

    def is_loss(self, asked_at: float, missed_before: int) -> bool:
        """Decide about a missed PING that was sent at `asked_at`, after `missed_before` earlier ones in a row."""
        self._window()
        suspicious = self._is_widespread() and not (missed_before and self._any_answered())
        if missed_before < PATIENCE and (suspicious or self._stalled_since(asked_at)):
            self.discarded += 1
            return False
        return True

    def _is_widespread(self) -> bool:
        sent = self._current.sent + self._previous.sent
        unanswered = sent - self._current.answered - self._previous.answered
        return unanswered > 1 and unanswered * SHARE > sent

    def _any_answered(self) -> bool:
        return bool(self._current.answered + self._previous.answered)

    def _window(self) -> _Window:
        number = int(self._now() / WINDOW)
        if number != self._current.number:
            self._previous = self._current if number == self._current.number + 1 else _Window(number - 1)
            self._current = _Window(number)
        return self._current
