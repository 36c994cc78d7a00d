"""Puts the calls of all nouns together: every service that administrators can reach, with its handlers."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.descriptor import ServiceDescriptor
from headscale.v1 import headscale_pb2
from smartscale.admin.v1 import (
    audit_pb2,
    device_pb2,
    dns_pb2,
    key_pb2,
    node_pb2,
    pending_login_pb2,
    policy_pb2,
    server_pb2,
    settings_pb2,
    user_pb2,
)

from gateway.admin.calls.apikeys import ApiKeys
from gateway.admin.calls.audit import AuditLog
from gateway.admin.calls.devices import Devices
from gateway.admin.calls.dns import Dns
from gateway.admin.calls.groups import Groups
from gateway.admin.calls.identities import Identities
from gateway.admin.calls.keys import Keys
from gateway.admin.calls.logins import Logins
from gateway.admin.calls.node_addresses import NodeAddresses
from gateway.admin.calls.node_descriptions import NodeDescriptions
from gateway.admin.calls.node_pages import NodePages
from gateway.admin.calls.nodes import Nodes
from gateway.admin.calls.policy import Policy
from gateway.admin.calls.policy_versions import PolicyVersions
from gateway.admin.calls.preauthkeys import PreAuthKeys
from gateway.admin.calls.routers import Routers
from gateway.admin.calls.server import Server
from gateway.admin.calls.settings import Settings
from gateway.admin.calls.user_rights import UserRights
from gateway.admin.calls.users import Users
from gateway.admin.methods import Method, methods_of
from gateway.admin.services import Services

HEADSCALE: ServiceDescriptor = headscale_pb2.DESCRIPTOR.services_by_name["HeadscaleService"]
AUDIT: ServiceDescriptor = audit_pb2.DESCRIPTOR.services_by_name["AuditAdminService"]
DEVICES: ServiceDescriptor = device_pb2.DESCRIPTOR.services_by_name["DeviceAdminService"]
DNS: ServiceDescriptor = dns_pb2.DESCRIPTOR.services_by_name["DnsAdminService"]
KEYS: ServiceDescriptor = key_pb2.DESCRIPTOR.services_by_name["KeyAdminService"]
NODES: ServiceDescriptor = node_pb2.DESCRIPTOR.services_by_name["NodeAdminService"]
LOGINS: ServiceDescriptor = pending_login_pb2.DESCRIPTOR.services_by_name["PendingLoginAdminService"]
POLICY: ServiceDescriptor = policy_pb2.DESCRIPTOR.services_by_name["PolicyAdminService"]
SERVER: ServiceDescriptor = server_pb2.DESCRIPTOR.services_by_name["ServerAdminService"]
SETTINGS: ServiceDescriptor = settings_pb2.DESCRIPTOR.services_by_name["SettingsAdminService"]
USERS: ServiceDescriptor = user_pb2.DESCRIPTOR.services_by_name["UserAdminService"]

NOUNS: dict[ServiceDescriptor, tuple[Callable[[Services], object], ...]] = {
    HEADSCALE: (Users, PreAuthKeys, ApiKeys, Nodes, Logins, Policy, Server),
    AUDIT: (AuditLog,),
    DEVICES: (Devices,),
    DNS: (Dns,),
    KEYS: (Keys,),
    NODES: (NodePages, NodeDescriptions, NodeAddresses, Routers),
    LOGINS: (Logins,),
    POLICY: (PolicyVersions,),
    SERVER: (Server,),
    SETTINGS: (Settings,),
    USERS: (UserRights, Identities, Groups),
}
"""The classes with the handlers of each service."""


def all_methods(services: Services) -> dict[str, Method]:
    """Return every call by its full name, against these services."""
    found: dict[str, Method] = {}
    for service, nouns in NOUNS.items():
        found.update(methods_of(service, [noun(services) for noun in nouns]))
    return found
