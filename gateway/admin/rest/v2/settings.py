"""The operations of /api/v2 about settings of the tailnet and its contacts.

Settings of features that this server does not have can be read, and set to the value that they have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from smartscale.admin.v1 import settings_pb2 as pb
from smartscale.types.v1 import settings_pb2 as types
from starlette.responses import Response

from gateway.admin.refusal import Refused, invalid
from gateway.admin.rest.v2.operation import Operation, Question, answered, optional_flag, optional_text, text_member
from gateway.admin.scopes import SETTINGS
from services.shared.scopes import READ, grants
from services.shared.tailnet_settings import CONTACTS, MAX_KEY_DURATION_DAYS

_SETTINGS = "smartscale.admin.v1.SettingsAdminService."
_FIXED: Mapping[str, tuple[object, str, str]] = {
    "devicesApprovalOn": (False, "feature_settings", "devices are approved when they join"),
    "usersApprovalOn": (False, "feature_settings", "users are approved when they sign in"),
    "usersRoleAllowedToJoinExternalTailnets": ("none", "feature_settings", "there are no other tailnets"),
    "networkFlowLoggingOn": (False, "logs:network", "this server collects no flow logs"),
    "regionalRoutingOn": (False, "feature_settings", "routers are elected, one for each route"),
    "routeSelection": ("active-passive-failover", "feature_settings", "routers are elected, one for each route"),
    "postureIdentityCollectionOn": (False, "feature_settings", "this server collects no identities of devices"),
    "httpsEnabled": (False, "networking_settings", "this server orders no certificates for devices"),
}
"""Settings that cannot be changed: value, scope, and why."""
_ACLS = "policy_file"
_FEATURES = "feature_settings"


async def _get(question: Question) -> Response:
    settings = (await question.ask(_SETTINGS + "GetSettings", pb.GetSettingsRequest())).settings
    return answered(_shown(question, settings))


def _shown(question: Question, settings: types.TailnetSettings) -> dict[str, Any]:
    """Return the settings that the credential may read; without an expiry of keys there is no duration."""
    found: dict[str, tuple[object, str]] = {
        "aclsExternallyManagedOn": (settings.acls_externally_managed, _ACLS),
        "aclsExternalLink": (settings.acls_external_link, _ACLS),
        "devicesAutoUpdatesOn": (settings.auto_updates, _FEATURES),
        **{name: (value, scope) for name, (value, scope, _) in _FIXED.items()},
    }
    if settings.key_duration_days:
        found["devicesKeyDurationDays"] = settings.key_duration_days, _FEATURES
    granted = question.call.granted
    return {name: value for name, (value, scope) in found.items() if grants(granted, scope + READ)}


async def _change(question: Question) -> Response:
    body = await question.body()
    if body.get("regionalRoutingOn") is not None and body.get("routeSelection") is not None:
        raise invalid("routeSelection", "takes the place of regionalRoutingOn; give one of them")
    for name, (value, scope, reason) in _FIXED.items():
        given = body.get(name)
        if given is None:
            continue
        question.call.require(scope)
        if type(given) is not type(value):
            raise invalid(name, "not true or false" if isinstance(value, bool) else "not a text")
        if given != value:
            raise invalid(name, f"cannot be changed: {reason}")
    change = _read(body)
    settings = (await question.ask(_SETTINGS + "ChangeSettings", pb.ChangeSettingsRequest(change=change))).settings
    return answered(_shown(question, settings))


def _read(body: Mapping[str, object]) -> types.SettingsChange:
    """Read the settings that can be changed; null is not given."""
    days = body.get("devicesKeyDurationDays")
    if days is not None and (type(days) is not int or not 1 <= days <= MAX_KEY_DURATION_DAYS):
        raise invalid("devicesKeyDurationDays", f"not a whole number from 1 to {MAX_KEY_DURATION_DAYS}")
    return types.SettingsChange(
        key_duration_days=days,
        auto_updates=optional_flag(body, "devicesAutoUpdatesOn"),
        acls_externally_managed=optional_flag(body, "aclsExternallyManagedOn"),
        acls_external_link=optional_text(body, "aclsExternalLink"),
    )


async def _contacts(question: Question) -> Response:
    found = (await question.ask(_SETTINGS + "GetContacts", pb.GetContactsRequest())).contacts
    return answered({one.type: {"email": one.email, "needsVerification": False} for one in found})


async def _set_contact(question: Question) -> Response:
    email = text_member(await question.body(), "email")
    _check_contact(question)
    await question.ask(_SETTINGS + "ChangeContact", pb.ChangeContactRequest(type=question.path["contact"], email=email))
    return answered({})


async def _resend(question: Question) -> Response:
    """Send the verification of an address again: does nothing, since addresses need none here."""
    _check_contact(question)
    return answered({})


def _check_contact(question: Question) -> None:
    if question.path["contact"] not in CONTACTS:
        raise Refused(grpc.StatusCode.NOT_FOUND, f"contact not found; there are {', '.join(CONTACTS)}")


_READ = tuple(scope + READ for scope in SETTINGS)
_WHERE = "/tailnet/{tailnet}/"

OPERATIONS = (
    Operation(
        "GET", _WHERE + "settings", "Get the settings", "settings", _get, _READ, answer="Settings", checked_inside=True
    ),
    Operation(
        "PATCH",
        _WHERE + "settings",
        "Change settings",
        "settings",
        _change,
        SETTINGS,
        answer="Settings",
        request="NewSettings",
        checked_inside=True,
    ),
    Operation(
        "GET",
        _WHERE + "contacts",
        "List contacts",
        "contacts",
        _contacts,
        "account_settings:read",
        answer="Contacts",
    ),
    Operation(
        "PATCH",
        _WHERE + "contacts/{contact}",
        "Change a contact",
        "contacts",
        _set_contact,
        "account_settings",
        body={"email": "string"},
    ),
    Operation(
        "POST",
        _WHERE + "contacts/{contact}/resend-verification-email",
        "Verify a contact again",
        "contacts",
        _resend,
        "account_settings",
    ),
)
