"""Parses times of the wire: RFC 3339 as Go writes it, where the zero time means "none"."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from services.shared.tailcfg.errors import ClientRequestError

ZERO_TIME = "0001-01-01T00:00:00Z"

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?(?:([Zz])|([+-])(\d\d):(\d\d))\Z", re.ASCII
)


def parse_time(text: str) -> datetime | None:
    """Parse a time with any offset, truncated to microseconds. Returns None for "" and Go's zero time.

    Raises:
        ClientRequestError: it is not RFC 3339.
    """
    if text in ("", ZERO_TIME):
        return None
    found = _RFC3339.match(text)
    if found is None:
        raise ClientRequestError("not an RFC 3339 time")
    year, month, day, hour, minute, second, fraction, _zulu, sign, hours, minutes = found.groups()
    micros = int(((fraction or "") + "000000")[:6])
    try:
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
        local = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micros, zone)
    except ValueError:
        raise ClientRequestError("not an RFC 3339 time") from None
    try:
        value = local.astimezone(UTC)
    except OverflowError:
        return None if local.year == 1 else datetime.max.replace(tzinfo=UTC)
    return None if value.year == 1 else value
