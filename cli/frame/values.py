"""Reads values that people type: durations, times, ids, lists, and the answer to a question."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from cli.frame.errors import CommandError

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from google.protobuf.timestamp_pb2 import Timestamp

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdwy])")


def duration(text: str) -> timedelta:
    """Read `90d`, `1h30m`, `45s`; days are 24 hours, years 365 days."""
    from datetime import timedelta

    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ArgumentTypeError(f"{text!r} is not a duration; write it like 90d, 24h or 1h30m")
    return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


def moment(text: str) -> datetime:
    """Read a time in RFC 3339."""
    from datetime import UTC, datetime

    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a time; write it like 2027-01-31T12:00:00Z") from None
    if read.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} lacks its time zone; write it like 2027-01-31T12:00:00Z")
    return read.astimezone(UTC)


def positive(text: str) -> int:
    """Read an id."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 1 << 63:
        raise ArgumentTypeError(f"{text!r} is not an id; ids are positive numbers")
    return int(text)


def commas(text: str) -> list[str]:
    """Read a list that may be written with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def timestamp(at: datetime) -> Timestamp:
    """Return a time as the message of the API."""
    from google.protobuf.timestamp_pb2 import Timestamp

    made = Timestamp()
    made.FromDatetime(at)
    return made


def after(span: timedelta) -> Timestamp:
    """Return the time after this span from now."""
    from datetime import UTC, datetime

    return timestamp(datetime.now(UTC) + span)


def confirm(question: str, force: bool) -> None:
    """Ask before a change that cannot be undone; the answer is a line of standard input, typed or piped.

    Raises:
        CommandError: the answer was not yes, or standard input is empty.
    """
    if force:
        return
    if sys.stdin.isatty():
        sys.stderr.write(f"{question} [y/N] ")
        sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise CommandError(f"{question} not confirmed, nothing was changed", "add --force to skip the question")
    if line.strip().lower() not in ("y", "yes"):
        raise CommandError("not confirmed, nothing was changed")
