"""Renders notices as the messages that clients show, and says when a login page is opened. Decides no notice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import orjson

from services.map_streamer.snapshot import Notice, NoticeKind
from services.shared.tailcfg.display_message import DisplayMessage, all_messages, changed_messages


@dataclass(frozen=True, slots=True)
class NoticeTexts:
    """What messages say that comes from the configuration."""

    server_url: str = ""
    """URL with instructions for a new device; empty: messages have no button."""
    contact: str = ""
    """Whom to ask, such as an address. Empty: the administrator."""


def all_notices(notices: Iterable[Notice], texts: NoticeTexts, cap_version: int) -> bytes:
    """Return the member of a map response after which the client shows these notices and no others."""
    return all_messages(_messages(notices, texts), cap_version)


def changed_notices(
    old: Iterable[Notice], new: Iterable[Notice], texts: NoticeTexts, cap_version: int
) -> tuple[bytes, ...]:
    """Return the members of a delta for a client that shows `old`.

    A client whose key has just expired also opens the server's page, once: a person has to log in there.
    """
    new = tuple(new)
    members = [changed_messages(_messages(old, texts), _messages(new, texts), cap_version)]
    expired_before = any(notice.kind is NoticeKind.KEY_EXPIRED for notice in old)
    if texts.server_url and not expired_before and any(one.kind is NoticeKind.KEY_EXPIRED for one in new):
        members.append(b'"PopBrowserURL":' + orjson.dumps(texts.server_url))
    return tuple(members)


def _messages(notices: Iterable[Notice], texts: NoticeTexts) -> dict[str, DisplayMessage]:
    return {notice.kind.value: _message(notice, texts) for notice in notices}


def _message(notice: Notice, texts: NoticeTexts) -> DisplayMessage:
    asked = texts.contact or "the administrator"
    match notice.kind:
        case NoticeKind.SUSPENDED:
            text = f"The user of this device is suspended, so it has no access. Ask {asked}."
            return DisplayMessage("Access suspended", text, "high", impacts_connectivity=True)
        case NoticeKind.KEY_EXPIRED:
            text = f"The key of this device expired{_at(notice.expiry)}. Log in again to use it: tailscale up"
            label = "How to log in" if texts.server_url else ""
            return DisplayMessage("Key expired", text, "high", True, texts.server_url, label)
        case NoticeKind.KEY_EXPIRES:
            text = f"The key of this device expires{_at(notice.expiry)}. Log in before: tailscale up --force-reauth"
            return DisplayMessage("Key expires soon", text)
        case NoticeKind.OLD_CLIENT:
            text = (
                f"This device runs Tailscale {notice.version}, and {notice.oldest} or newer is required here. "
                f"Update it, or ask {asked}."
            )
            return DisplayMessage("Client is too old", text)


def _at(time: datetime | None) -> str:
    return "" if time is None else f" on {time:%Y-%m-%d} at {time:%H:%M} UTC"
