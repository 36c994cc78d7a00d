"""Changes of the tailnet's settings and contacts by administrators: checked, stored, sent as a change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

import msgspec

from services.registry.model.errors import InvalidInputError, PreconditionError
from services.registry.model.state import State
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.shared.tailnet_settings import CONTACTS, MAX_KEY_DURATION_DAYS, TailnetSettings
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_DAY = timedelta(days=1)
_EMAIL = re.compile(r"[^\s@<>(),;:\\\"]{1,64}@[^\s@<>(),;:\\\"]{1,189}")
_MAX_LINK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredSettings:
    """Settings of the configuration file, which are in force where nothing is stored."""

    key_expiry: timedelta = timedelta(0)
    """Zero: keys do not expire."""
    auto_updates: bool = False
    policy_file: bool = False
    """The policy is read from a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChange:
    """The settings to store; None: as they are."""

    key_duration_days: int | None = None
    auto_updates: bool | None = None
    acls_externally_managed: bool | None = None
    acls_external_link: str | None = None
    contacts: Mapping[str, str] = field(default_factory=dict)
    """Those to change, by type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsInForce:
    """The settings in force."""

    key_duration_days: int
    """Whole days, rounded up; 0: keys do not expire."""
    auto_updates: bool
    acls_externally_managed: bool
    acls_external_link: str
    contacts: Mapping[str, str]
    """One of each of `CONTACTS`; empty where none is known."""


class StoredSettings:
    """Use cases of settings and contacts."""

    def __init__(self, ledger: Ledger, configured: ConfiguredSettings) -> None:
        self._ledger = ledger
        self._configured = configured

    async def get(self) -> SettingsInForce:
        """Return the settings in force."""
        return await self._ledger.read(self._in_force)

    async def change(self, change: SettingsChange) -> SettingsInForce:
        """Store settings.

        Raises:
            InvalidInputError: a value is not allowed.
            PreconditionError: the configuration decides it.
        """
        _check(change)
        if change.acls_externally_managed is False and self._configured.policy_file:
            raise PreconditionError("the policy is read from a file (policy.mode: file), so it is managed outside")
        names = ("key_duration_days", "auto_updates", "acls_externally_managed", "acls_external_link")
        given = {name: value for name in names if (value := getattr(change, name)) is not None}

        async def work(draft: Draft) -> SettingsInForce:
            before = draft.state.settings
            contacts = {**before.contacts, **change.contacts}
            if draft.put_settings(msgspec.structs.replace(before, contacts=contacts, **given)):
                draft.after_commit.append(lambda: log.info("tailnet settings changed", settings=sorted(given)))
            return self._in_force(draft.state)

        return await self._ledger.commit(work)

    def _in_force(self, state: State) -> SettingsInForce:
        stored, configured = state.settings, self._configured
        expiry = key_expiry(stored, configured.key_expiry)
        return SettingsInForce(
            key_duration_days=-(-expiry // _DAY),
            auto_updates=configured.auto_updates if stored.auto_updates is None else stored.auto_updates,
            acls_externally_managed=stored.acls_externally_managed or configured.policy_file,
            acls_external_link=stored.acls_external_link,
            contacts={name: stored.contacts.get(name, "") for name in CONTACTS},
        )


def key_expiry(stored: TailnetSettings, configured: timedelta) -> timedelta:
    """Return the lifetime of keys of nodes that join; zero: they do not expire."""
    days = stored.key_duration_days
    return configured if days is None else timedelta(days=days)


def _check(change: SettingsChange) -> None:
    days, link = change.key_duration_days, change.acls_external_link
    if days is not None and not 1 <= days <= MAX_KEY_DURATION_DAYS:
        raise InvalidInputError(f"key_duration_days: not from 1 to {MAX_KEY_DURATION_DAYS}")
    if link and not _is_link(link):
        raise InvalidInputError(f"acls_external_link: not an http or https URL of up to {_MAX_LINK} characters")
    for name, email in change.contacts.items():
        if name not in CONTACTS:
            raise InvalidInputError(f"type: none of {', '.join(CONTACTS)}")
        if not _EMAIL.fullmatch(email):
            raise InvalidInputError("email: not an e-mail address")


def _is_link(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and len(text) <= _MAX_LINK
