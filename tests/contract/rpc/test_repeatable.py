"""Which RPC may be sent again after a lost connection: each one is a decision that stands here and in its proto."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

PROTOS = Path(__file__).parents[3] / "proto" / "smartscale"

READ = MethodOptions.NO_SIDE_EFFECTS
IDEMPOTENT = MethodOptions.IDEMPOTENT
ONCE = MethodOptions.IDEMPOTENCY_UNKNOWN
"""A second one would do something else, or answer otherwise, than the first: never sent again."""

DECISIONS: dict[str, dict[MethodOptions.IdempotencyLevel.ValueType, str]] = {
    "smartscale.admin.v1.DeviceAdminService": {
        READ: "GetDevice ListDevices",
        IDEMPOTENT: "ChangeAttributes SetDeviceAddress SetDeviceAttributes",
        ONCE: "RenameDevice SetDeviceKeyExpiry",
    },
    "smartscale.admin.v1.DnsAdminService": {
        READ: "GetDns",
        IDEMPOTENT: "ChangeDns",
    },
    "smartscale.admin.v1.KeyAdminService": {
        READ: "GetKey ListKeys",
        IDEMPOTENT: "UpdateKey",
        ONCE: "CreateKey DeleteKey",
    },
    "smartscale.admin.v1.NodeAdminService": {
        READ: "DescribeNodes GetNode ListNodes ListRouters",
        IDEMPOTENT: "PreferRoutes SetAddresses",
    },
    "smartscale.admin.v1.PendingLoginAdminService": {
        READ: "ListPendingLogins",
    },
    "smartscale.admin.v1.PolicyAdminService": {
        READ: "CheckPolicy DiffVersions ExplainPolicy GetPolicy ListVersions PreviewPolicy PreviewRules",
        ONCE: "RollBackPolicy SetPolicy",
    },
    "smartscale.admin.v1.ServerAdminService": {
        READ: "GetSignInHealth",
        ONCE: "ReloadConfiguration",
    },
    "smartscale.admin.v1.SettingsAdminService": {
        READ: "GetContacts GetSettings",
        IDEMPOTENT: "ChangeContact ChangeSettings",
    },
    "smartscale.admin.v1.UserAdminService": {
        READ: "GetGroup ListGroups ListUsers ShowUser",
        IDEMPOTENT: "RestoreUser SuspendUser",
        ONCE: "LinkUser RelinkUser SetRole UnlinkUser",
    },
    "smartscale.admin.v1.AuditAdminService": {
        READ: "ListEntries VerifyEntries",
    },
    "smartscale.auth.v1.AuditService": {
        READ: "ListEntries VerifyEntries",
        IDEMPOTENT: "BeginCall FinishCall",
    },
    "smartscale.auth.v1.AuthService": {
        READ: """
            EvaluateAccess GetKey GetPendingLogin GetSignIn GetSignInHealth GetSshCheck ListApiKeys ListKeys
            ListPendingLogins ListPreAuthKeys ListSshChecks
        """,
        IDEMPOTENT: "RestoreUser SuspendUser UpdateKey VerifyApiKey",
        ONCE: """
            ApproveLogin AwaitLogin AwaitSshCheck CheckSsh ConfirmSignIn CreateApiKey CreateKey CreatePreAuthKey
            DecideSshCheck DeleteApiKey DeleteKey DeletePreAuthKey ExpireApiKey ExpirePreAuthKey FinishSignIn
            IssueAccessToken OpenLogin Register RejectLogin ReloadConfiguration StartSignIn
        """,
    },
    "smartscale.derp.v1.DerpService": {
        READ: "GetStatus",
    },
    "smartscale.gateway.v1.DebugService": {
        ONCE: "C2n Ping",
    },
    "smartscale.map_streamer.v1.MapStreamerService": {
        READ: "FindSshCheck GetStatus ShowDerpMap ShowNodes ShowSessions",
        ONCE: "Attach",
    },
    "smartscale.policy.v1.PolicyService": {
        READ: "CheckPolicy ExplainPolicy GetChanges GetCompiled GetPolicy ListVersions PreviewPolicy PreviewRules",
        ONCE: "SetPolicy",
    },
    "smartscale.registry.v1.RegistryService": {
        READ: """
            CheckAddresses FindNode GetChanges GetDeparture GetDns GetNode GetPerson GetSettings GetSnapshot ListLinks
            ListNodes ListSubjects ListUsers VerifyNodeKey
        """,
        IDEMPOTENT: """
            AdmitNode AnnounceRelay ChangeAttributes ChangeDns ChangeRights ChangeSettings PreferRoutes
            SetApprovedRoutes SetNodeAddress SetTags
        """,
        ONCE: """
            BackfillNodeIps CreateUser DeleteNode DeleteUser ExpireNode LinkUser LogOutNode RelinkUser
            RenameNode RenameUser ReportSessions SetUserRole UnlinkUser UpdateNode UpsertLogin
        """,
    },
}


def services() -> dict[str, ServiceDescriptor]:
    """Every service of our own protos by its full name."""
    found = {}
    for path in sorted(PROTOS.rglob("*.proto")):
        module = ".".join(("smartscale", *path.relative_to(PROTOS).with_suffix("").parts)) + "_pb2"
        declared = importlib.import_module(module).DESCRIPTOR.services_by_name.values()
        found.update({service.full_name: service for service in declared})
    return found


def test_every_service_is_listed() -> None:
    assert sorted(DECISIONS) == sorted(services())


@pytest.mark.parametrize("name", sorted(DECISIONS))
def test_the_level_of_every_rpc_is_the_one_that_was_decided(name: str) -> None:
    decided = {method: level for level, methods in DECISIONS[name].items() for method in methods.split()}
    declared = {method.name: method.GetOptions().idempotency_level for method in services()[name].methods}
    assert declared == decided, "decide for each RPC, here and as idempotency_level in its proto"
