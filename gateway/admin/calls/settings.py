"""smartscale.admin.v1: settings of the tailnet, each under its own scope, and contacts."""

from __future__ import annotations

from collections.abc import Mapping

from smartscale.admin.v1 import settings_pb2 as pb
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import settings_pb2 as types

from gateway.admin.context import CallContext
from gateway.admin.services import Services
from services.shared.scopes import READ, grants

_FEATURES, _POLICY = "feature_settings", "policy_file"
_SCOPES: Mapping[str, str] = {
    "key_duration_days": _FEATURES,
    "auto_updates": _FEATURES,
    "acls_externally_managed": _POLICY,
    "acls_external_link": _POLICY,
}
"""Scope of each setting, by its field."""


class Settings:
    """Calls about settings and contacts."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetSettings(self, request: pb.GetSettingsRequest, call: CallContext) -> pb.GetSettingsResponse:
        """Return the settings in force that the credential may read."""
        answer = await call.ask(self._services.registry.GetSettings, registry_pb2.GetSettingsRequest())
        return pb.GetSettingsResponse(settings=_readable(answer.settings, call))

    async def ChangeSettings(self, request: pb.ChangeSettingsRequest, call: CallContext) -> pb.ChangeSettingsResponse:
        """Store settings."""
        change = types.SettingsChange()
        change.CopyFrom(request.change)
        change.ClearField("contacts")
        for field, _ in change.ListFields():
            call.require(_SCOPES[field.name])
        wanted = registry_pb2.ChangeSettingsRequest(change=change)
        answer = await call.ask(self._services.registry.ChangeSettings, wanted)
        return pb.ChangeSettingsResponse(settings=_readable(answer.settings, call))

    async def GetContacts(self, request: pb.GetContactsRequest, call: CallContext) -> pb.GetContactsResponse:
        """Return the contacts."""
        answer = await call.ask(self._services.registry.GetSettings, registry_pb2.GetSettingsRequest())
        return pb.GetContactsResponse(contacts=answer.settings.contacts)

    async def ChangeContact(self, request: pb.ChangeContactRequest, call: CallContext) -> pb.ChangeContactResponse:
        """Store the address of one contact."""
        change = types.SettingsChange(contacts=[types.Contact(type=request.type, email=request.email)])
        wanted = registry_pb2.ChangeSettingsRequest(change=change)
        answer = await call.ask(self._services.registry.ChangeSettings, wanted)
        return pb.ChangeContactResponse(contacts=answer.settings.contacts)


def _readable(settings: types.TailnetSettings, call: CallContext) -> types.TailnetSettings:
    """Return the settings whose scope the credential has, without contacts."""
    found = types.TailnetSettings()
    if grants(call.granted, _FEATURES + READ):
        found.key_duration_days = settings.key_duration_days
        found.auto_updates = settings.auto_updates
    if grants(call.granted, _POLICY + READ):
        found.acls_externally_managed = settings.acls_externally_managed
        found.acls_external_link = settings.acls_external_link
    return found
