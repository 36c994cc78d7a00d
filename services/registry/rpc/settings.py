"""Converts the tailnet's settings and changes of them between messages and values."""

from __future__ import annotations

from smartscale.types.v1 import settings_pb2 as types

from services.registry.usecases.tailnet_settings import SettingsChange, SettingsInForce


def to_proto(found: SettingsInForce) -> types.TailnetSettings:
    """Return the settings in force as a message."""
    return types.TailnetSettings(
        key_duration_days=found.key_duration_days,
        auto_updates=found.auto_updates,
        acls_externally_managed=found.acls_externally_managed,
        acls_external_link=found.acls_external_link,
        contacts=[types.Contact(type=name, email=email) for name, email in found.contacts.items()],
    )


def read_change(change: types.SettingsChange) -> SettingsChange:
    """Return a change as values, unchecked."""
    return SettingsChange(
        key_duration_days=change.key_duration_days if change.HasField("key_duration_days") else None,
        auto_updates=change.auto_updates if change.HasField("auto_updates") else None,
        acls_externally_managed=change.acls_externally_managed if change.HasField("acls_externally_managed") else None,
        acls_external_link=change.acls_external_link if change.HasField("acls_external_link") else None,
        contacts={contact.type: contact.email for contact in change.contacts},
    )
