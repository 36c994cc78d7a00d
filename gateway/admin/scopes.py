"""The chain's step `scope`: the table of the scope that each call needs, over every wire; tests read it too.

A call with several scopes needs one of them; its handler then checks the one that the request is about. A call with
none is open to every credential.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.shared.scopes import ALL, READ

KEYS = ("auth_keys", "oauth_keys", "api_access_tokens")
"""Scopes of keys, one for each kind."""
SETTINGS = ("feature_settings", "policy_file", "networking_settings", "logs:network")
"""Scopes of settings, each for some of them."""
_SETTINGS_READ = tuple(scope + READ for scope in SETTINGS)
_KEYS_READ = tuple(scope + READ for scope in KEYS)
_HEADSCALE = "headscale.v1.HeadscaleService"
_ADMIN = "smartscale.admin.v1."


def _of(service: str, calls: Mapping[str | tuple[str, ...], str]) -> Iterable[tuple[str, tuple[str, ...]]]:
    for scopes, names in calls.items():
        for name in names.split():
            yield f"{service}.{name}", (scopes,) if isinstance(scopes, str) else scopes


SCOPES: Mapping[str, tuple[str, ...]] = dict(
    (
        *_of(
            _HEADSCALE,
            {
                "users": "CreateUser RenameUser DeleteUser",
                "users:read": "ListUsers",
                "auth_keys": "CreatePreAuthKey ExpirePreAuthKey DeletePreAuthKey",
                "auth_keys:read": "ListPreAuthKeys",
                "devices:core": "SetTags DeleteNode ExpireNode RenameNode BackfillNodeIPs",
                "devices:core:read": "GetNode ListNodes",
                "devices:routes": "SetApprovedRoutes",
                "policy_file": "SetPolicy",
                "policy_file:read": "GetPolicy CheckPolicy",
                "api_access_tokens": "ExpireApiKey DeleteApiKey",
                "api_access_tokens:read": "ListApiKeys",
                # Each admits devices of any user, or makes a key that may do everything.
                ALL: "RegisterNode DebugCreateNode AuthRegister AuthApprove AuthReject CreateApiKey",
                (): "Health",
            },
        ),
        *_of(
            _ADMIN + "DeviceAdminService",
            {
                "devices:core": "RenameDevice SetDeviceKeyExpiry SetDeviceAddress",
                "devices:core:read": "ListDevices GetDevice",
                "devices:posture_attributes": "SetDeviceAttributes ChangeAttributes",
            },
        ),
        *_of(_ADMIN + "DnsAdminService", {"dns": "ChangeDns", "dns:read": "GetDns"}),
        *_of(
            _ADMIN + "NodeAdminService",
            {
                "devices:core": "SetAddresses",
                "devices:routes": "PreferRoutes",
                "devices:routes:read": "ListRouters",
                "devices:core:read": "ListNodes GetNode DescribeNodes",
            },
        ),
        *_of(_ADMIN + "PendingLoginAdminService", {ALL: "ListPendingLogins"}),
        *_of(
            _ADMIN + "PolicyAdminService",
            {
                "policy_file": "SetPolicy RollBackPolicy",
                "policy_file:read": "GetPolicy CheckPolicy ListVersions DiffVersions ExplainPolicy PreviewPolicy "
                "PreviewRules",
            },
        ),
        *_of(_ADMIN + "ServerAdminService", {ALL: "ReloadConfiguration", ALL + READ: "GetSignInHealth"}),
        *_of(
            _ADMIN + "SettingsAdminService",
            {
                SETTINGS: "ChangeSettings",
                _SETTINGS_READ: "GetSettings",
                "account_settings": "ChangeContact",
                "account_settings:read": "GetContacts",
            },
        ),
        *_of(
            _ADMIN + "UserAdminService",
            {
                "users": "SetRole SuspendUser RestoreUser LinkUser UnlinkUser RelinkUser",
                "users:read": "ListUsers ShowUser ListGroups GetGroup",
            },
        ),
        *_of(_ADMIN + "AuditAdminService", {"logs:configuration:read": "ListEntries VerifyEntries"}),
        *_of(_ADMIN + "KeyAdminService", {KEYS: "CreateKey UpdateKey DeleteKey", _KEYS_READ: "ListKeys GetKey"}),
    )
)
"""Scopes by the full name of a call."""
