"""The states of a map session as transition tables. Knows no bytes, no clock and no client.

A session has two states that are independent of each other: its stage (`Stage`), and whether its client reads
(`Reading`). A transition that a table does not have is an error of this program.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto


class Stage(Enum):
    """The stage of a session, from request to end."""

    WAITING = auto()
    """Waits for the budget of full maps; the map streamer does not know it."""
    OPENING = auto()
    """Sent to the map streamer, or to be sent as soon as one is attached; no answer yet."""
    ACCEPTED = auto()
    """The response head was sent; no map yet, so a delta would be useless."""
    LIVE = auto()
    """Has a map and receives deltas."""
    DISMISSED = auto()
    """Was sent the map that logs its client out; the map streamer does not know it."""
    ENDED = auto()
    """Removed from every table."""


class StageEvent(Enum):
    """Events that move a session to another stage."""

    ADMITTED = auto()
    ACCEPTED = auto()
    MAP_SENT = auto()
    DISMISSED = auto()
    ENDED = auto()


class Reading(Enum):
    """The reading state of the client."""

    READING = auto()
    PAUSED = auto()
    """Bytes wait for the client; it has missed nothing."""
    BEHIND = auto()
    """A message was refused; the session's cursor is from before that message, and the map streamer knows."""


class ReadingEvent(Enum):
    """Events that change the reading state."""

    BLOCKED = auto()
    """The last message was accepted and now waits for the client."""
    MISSED = auto()
    """A message was refused."""
    RESUMED = auto()
    """The client has read everything."""
    REOPENED = auto()
    """The session was opened again at the map streamer, which sends what was missed."""


STAGES: Mapping[Stage, Mapping[StageEvent, Stage]] = {
    Stage.WAITING: {StageEvent.ADMITTED: Stage.OPENING, StageEvent.ENDED: Stage.ENDED},
    Stage.OPENING: {
        StageEvent.ACCEPTED: Stage.ACCEPTED,
        StageEvent.DISMISSED: Stage.DISMISSED,
        StageEvent.ENDED: Stage.ENDED,
    },
    Stage.ACCEPTED: {StageEvent.MAP_SENT: Stage.LIVE, StageEvent.ENDED: Stage.ENDED},
    Stage.LIVE: {StageEvent.MAP_SENT: Stage.LIVE, StageEvent.ENDED: Stage.ENDED},
    Stage.DISMISSED: {StageEvent.ENDED: Stage.ENDED},
    Stage.ENDED: {},
}

READINGS: Mapping[Reading, Mapping[ReadingEvent, Reading]] = {
    Reading.READING: {
        ReadingEvent.BLOCKED: Reading.PAUSED,
        ReadingEvent.MISSED: Reading.BEHIND,
        ReadingEvent.RESUMED: Reading.READING,
        ReadingEvent.REOPENED: Reading.READING,
    },
    Reading.PAUSED: {
        ReadingEvent.BLOCKED: Reading.PAUSED,
        ReadingEvent.MISSED: Reading.BEHIND,
        ReadingEvent.RESUMED: Reading.READING,
        ReadingEvent.REOPENED: Reading.PAUSED,
    },
    Reading.BEHIND: {
        ReadingEvent.MISSED: Reading.BEHIND,
        ReadingEvent.RESUMED: Reading.READING,
        ReadingEvent.REOPENED: Reading.PAUSED,
    },
}


def next_stage(stage: Stage, event: StageEvent) -> Stage:
    """Return the stage after an event.

    Raises:
        ValueError: the event is impossible in this stage.
    """
    try:
        return STAGES[stage][event]
    except KeyError:
        raise ValueError(f"a map session that is {stage.name} cannot get {event.name}") from None


def next_reading(reading: Reading, event: ReadingEvent) -> Reading:
    """Return the reading state after an event.

    Raises:
        ValueError: the event is impossible in this state.
    """
    try:
        return READINGS[reading][event]
    except KeyError:
        raise ValueError(f"a map session that is {reading.name} cannot get {event.name}") from None
