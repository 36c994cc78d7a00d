"""The messages of a map response that clients show to people, typed, and their only encoder. Chooses none of them.

`DisplayMessages` is a patch: a missing id is unchanged, a null removes one, `"*": null` removes all. Clients before
v1.86 ignore it, and are sent `Health`, which replaces their list; `[]` empties it. A button whose URL is not https, or
http where the login server is, is left out by clients.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import orjson

SINCE = 117
"""The capability version (v1.86) from which clients read `DisplayMessages`."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class DisplayMessage:
    """One message of the control server to the person at a device."""

    title: str
    text: str
    severity: Literal["high", "medium", "low"] = "medium"
    impacts_connectivity: bool = False
    url: str = ""
    """Where the button leads to. Empty: there is no button."""
    label: str = ""
    """What the button says."""

    def json(self) -> Json:
        """Return the message as clients read it."""
        out: Json = {"Title": self.title, "Text": self.text, "Severity": self.severity}
        if self.impacts_connectivity:
            out["ImpactsConnectivity"] = True
        if self.url:
            out["PrimaryAction"] = {"URL": self.url, "Label": self.label}
        return out


Messages = Mapping[str, DisplayMessage]


def all_messages(messages: Messages, cap_version: int) -> bytes:
    """Return the member of a map response after which a client shows these messages by id and no others."""
    if cap_version < SINCE:
        return _health(messages)
    whole: Json = {"*": None, **{name: message.json() for name, message in messages.items()}}
    return b'"DisplayMessages":' + orjson.dumps(whole)


def changed_messages(old: Messages, new: Messages, cap_version: int) -> bytes:
    """Return the member that turns `old` into `new` at a client that was sent `old`."""
    if cap_version < SINCE:
        return _health(new)
    changes: Json = dict.fromkeys(old.keys() - new.keys())
    changes |= {name: message.json() for name, message in new.items() if old.get(name) != message}
    return b'"DisplayMessages":' + orjson.dumps(changes, option=orjson.OPT_SORT_KEYS)


def _health(messages: Messages) -> bytes:
    """Return the member for older clients: one text, since they show the last of several only (`health/health.go`)."""
    texts = [f"{message.title}: {message.text}" for message in messages.values()]
    return b'"Health":' + orjson.dumps([" | ".join(texts)] if texts else [])
