"""Decides which notices a node's own client is sent: why it has no access, or what ends its access. Owns no texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

from services.shared.access.posture import compare_versions


class NoticeKind(Enum):
    """The cause of a notice; the value is the id under which clients keep its message."""

    SUSPENDED = "suspended"
    KEY_EXPIRED = "key-expired"
    KEY_EXPIRES = "key-expires"
    OLD_CLIENT = "old-client"


class Notice(NamedTuple):
    """A notice and the values that its text depends on; a notice with other values replaces it."""

    kind: NoticeKind
    expiry: datetime | None = None
    """The recorded expiry of the key. None: there is none, or it is not what the notice is about."""
    version: str = ""
    """The client's version, of an old client."""
    oldest: str = ""
    """The oldest version that the operator accepts for it."""


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """What notices depend on besides records and clock; constant while the process runs."""

    key_expiry: timedelta = timedelta(0)
    """How long before its expiry the owner of a key is reminded; zero: not at all."""
    oldest_clients: Mapping[str, str] = field(default_factory=dict)
    """Oldest accepted client versions by operating system in lower case; `default` holds for all others."""


def find_notices(
    *,
    suspended: bool,
    expired: bool,
    expiry: datetime | None,
    attributes: tuple[tuple[str, str], ...],
    now: datetime,
    settings: NoticeSettings,
) -> tuple[Notice, ...]:
    """Return the notices of a node. `expired` and `expiry` are its key's; a suspended owner outweighs all else."""
    if suspended:
        return (Notice(NoticeKind.SUSPENDED),)
    found: list[Notice] = []
    if expired:
        found.append(Notice(NoticeKind.KEY_EXPIRED, expiry))
    elif expiry is not None and settings.key_expiry and reminder_due(expiry, settings) <= now:
        found.append(Notice(NoticeKind.KEY_EXPIRES, expiry))
    if settings.oldest_clients and (old := _old_client(dict(attributes), settings)) is not None:
        found.append(old)
    return tuple(found)


def reminder_due(expiry: datetime, settings: NoticeSettings) -> datetime:
    """Return when the owner of a key is reminded of its expiry."""
    return expiry - settings.key_expiry


def _old_client(attributes: Mapping[str, str], settings: NoticeSettings) -> Notice | None:
    version = attributes.get("node:tsVersion", "")
    oldest = settings.oldest_clients.get(attributes.get("node:os", ""), settings.oldest_clients.get("default", ""))
    if not version or not oldest or compare_versions(version, oldest) >= 0:
        return None
    return Notice(NoticeKind.OLD_CLIENT, version=version, oldest=oldest)
