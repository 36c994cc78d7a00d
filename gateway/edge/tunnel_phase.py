"""The phases of a tunnel as a transition table. Knows no bytes and no timer.

HALF_OPEN  handshake answered; the initiation may be a replay until a record decrypts
OPEN       a record has decrypted
DRAINING   takes no more requests; ends with its last stream
CLOSING    the transport is closing; further data is ignored
CLOSED     the connection has ended
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto


class Phase(Enum):
    """The phase of a tunnel, from handshake to end."""

    HALF_OPEN = auto()
    OPEN = auto()
    DRAINING = auto()
    CLOSING = auto()
    CLOSED = auto()


class Step(Enum):
    """Events that move a tunnel to another phase."""

    AUTHENTICATE = auto()
    """The first record has decrypted."""
    DRAIN = auto()
    """Either side announced the end (GOAWAY)."""
    CLOSE = auto()
    """This side closes the transport."""
    LOSE = auto()
    """The connection has ended."""


TRANSITIONS: Mapping[Phase, Mapping[Step, Phase]] = {
    Phase.HALF_OPEN: {
        Step.AUTHENTICATE: Phase.OPEN,
        Step.DRAIN: Phase.DRAINING,
        Step.CLOSE: Phase.CLOSING,
        Step.LOSE: Phase.CLOSED,
    },
    Phase.OPEN: {Step.DRAIN: Phase.DRAINING, Step.CLOSE: Phase.CLOSING, Step.LOSE: Phase.CLOSED},
    Phase.DRAINING: {
        Step.AUTHENTICATE: Phase.DRAINING,
        Step.DRAIN: Phase.DRAINING,
        Step.CLOSE: Phase.CLOSING,
        Step.LOSE: Phase.CLOSED,
    },
    Phase.CLOSING: {
        Step.AUTHENTICATE: Phase.CLOSING,
        Step.DRAIN: Phase.CLOSING,
        Step.CLOSE: Phase.CLOSING,
        Step.LOSE: Phase.CLOSED,
    },
    Phase.CLOSED: {Step.DRAIN: Phase.CLOSED, Step.CLOSE: Phase.CLOSED, Step.LOSE: Phase.CLOSED},
}


def advance(phase: Phase, step: Step) -> Phase:
    """Return the phase after a step.

    Raises:
        ValueError: the step is impossible in this phase, which is an error of this program, never of a peer.
    """
    try:
        return TRANSITIONS[phase][step]
    except KeyError:
        raise ValueError(f"a tunnel in phase {phase.name} cannot {step.name}") from None
