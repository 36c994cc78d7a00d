"""The table of REST operations: method, path and parameters of each call. Knows no HTTP library."""

from __future__ import annotations

from dataclasses import dataclass, replace

from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor

from gateway.admin.calls.table import HEADSCALE, NODES, POLICY, SERVER, USERS


@dataclass(frozen=True, slots=True)
class Operation:
    """One call over HTTP. Parameters in the path take precedence over the query, and the query over the body."""

    rpc: str
    verb: str
    path: str
    """Below /api/v1, with {parameters} as the request's fields."""
    body: bool = False
    query: tuple[str, ...] = ()
    """Fields that the query may have."""
    tag: str = ""
    narrowed: tuple[str, ...] = ()
    """Further filters of the list in the answer: names of `gateway.admin.rest.v1.lists`."""
    tagged: bool = False
    """Its answer carries an ETag, and a change may have If-Match."""
    service: ServiceDescriptor = HEADSCALE
    """The service that the call belongs to."""
    name: str = ""
    """Its name here, where another operation has the call's own name."""

    @property
    def method(self) -> MethodDescriptor:
        """The call in the contract."""
        return self.service.methods_by_name[self.rpc]

    @property
    def full_name(self) -> str:
        """The call's full name, such as `headscale.v1.HeadscaleService.ListNodes`."""
        return str(self.method.full_name)

    @property
    def known_as(self) -> str:
        """The name that no other operation has."""
        return self.name or self.rpc

    @property
    def request(self) -> Descriptor:
        """Its request."""
        return self.method.input_type

    @property
    def conditional(self) -> bool:
        """True if it honours If-Match."""
        return self.tagged and self.verb in ("PUT", "POST")

    @property
    def path_fields(self) -> tuple[str, ...]:
        """The parameters in the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


def _of(tag: str, *operations: Operation) -> tuple[Operation, ...]:
    return tuple(replace(one, tag=tag) for one in operations)


_PAGE = ("limit", "after")

OPERATIONS: tuple[Operation, ...] = (
    *_of(
        "users",
        Operation("CreateUser", "POST", "/user", body=True),
        Operation("ListUsers", "GET", "/user", query=("id", "name", "email"), narrowed=_PAGE),
        Operation("RenameUser", "POST", "/user/{old_id}/rename/{new_name}"),
        Operation("DeleteUser", "DELETE", "/user/{id}"),
    ),
    *_of(
        "pre-auth keys",
        Operation("CreatePreAuthKey", "POST", "/preauthkey", body=True),
        Operation("ListPreAuthKeys", "GET", "/preauthkey", narrowed=("user", *_PAGE)),
        Operation("ExpirePreAuthKey", "POST", "/preauthkey/expire", body=True),
        Operation("DeletePreAuthKey", "DELETE", "/preauthkey", query=("id",)),
    ),
    *_of(
        "nodes",
        Operation("ListNodes", "GET", "/node", query=("user",), narrowed=("tag", "online", *_PAGE)),
        Operation("RegisterNode", "POST", "/node/register", body=True, query=("user", "key")),
        Operation("BackfillNodeIPs", "POST", "/node/backfillips", body=True, query=("confirmed",)),
        Operation("GetNode", "GET", "/node/{node_id}"),
        Operation("DeleteNode", "DELETE", "/node/{node_id}"),
        Operation("SetTags", "POST", "/node/{node_id}/tags", body=True),
        Operation("SetApprovedRoutes", "POST", "/node/{node_id}/approve_routes", body=True),
        Operation("ExpireNode", "POST", "/node/{node_id}/expire", body=True, query=("expiry", "disable_expiry")),
        Operation("RenameNode", "POST", "/node/{node_id}/rename/{new_name}"),
        Operation("DebugCreateNode", "POST", "/debug/node", body=True),
    ),
    *_of(
        "logins",
        Operation("AuthRegister", "POST", "/auth/register", body=True),
        Operation("AuthApprove", "POST", "/auth/approve", body=True),
        Operation("AuthReject", "POST", "/auth/reject", body=True),
    ),
    *_of(
        "api keys",
        Operation("CreateApiKey", "POST", "/apikey", body=True),
        Operation("ListApiKeys", "GET", "/apikey", narrowed=_PAGE),
        Operation("ExpireApiKey", "POST", "/apikey/expire", body=True),
        Operation("DeleteApiKey", "DELETE", "/apikey/{prefix}", query=("id",)),
    ),
    *_of(
        "policy",
        Operation("GetPolicy", "GET", "/policy", tagged=True),
        Operation("SetPolicy", "PUT", "/policy", body=True, tagged=True),
        Operation("CheckPolicy", "POST", "/policy/check", body=True),
    ),
    *_of("server", Operation("Health", "GET", "/health")),
)

ADDED: tuple[Operation, ...] = (
    *_of(
        "users",
        Operation("ListUsers", "GET", "/role", query=("id", "name", "email", "role"), service=USERS, name="ListRoles"),
        Operation("SetRole", "POST", "/user/{user}/role", body=True, service=USERS),
        Operation("ShowUser", "GET", "/user/{user}/details", service=USERS),
        Operation("SuspendUser", "POST", "/user/{user}/suspend", body=True, service=USERS),
        Operation("RestoreUser", "POST", "/user/{user}/restore", body=True, service=USERS),
        Operation("LinkUser", "POST", "/user/{user}/link", body=True, service=USERS),
        Operation("UnlinkUser", "DELETE", "/link", query=("issuer", "subject"), service=USERS),
        Operation("RelinkUser", "POST", "/user/{user}/relink", body=True, service=USERS),
    ),
    *_of(
        "nodes",
        Operation("SetAddresses", "POST", "/node/{node}/addresses", body=True, service=NODES),
        Operation("ListRouters", "GET", "/router", query=("limit", "after"), service=NODES),
        Operation("PreferRoutes", "POST", "/router/{node}/prefer", body=True, service=NODES),
    ),
    *_of(
        "groups",
        Operation("ListGroups", "GET", "/group", service=USERS),
        Operation("GetGroup", "GET", "/group/{name}", service=USERS),
    ),
    *_of(
        "policy",
        Operation("ListVersions", "GET", "/policy/version", query=("limit", "before"), service=POLICY),
        Operation("GetPolicy", "GET", "/policy/version/{number}", service=POLICY, name="GetVersion"),
        Operation("DiffVersions", "GET", "/policy/version/{number}/diff", query=("other",), service=POLICY),
        Operation(
            "RollBackPolicy", "POST", "/policy/version/{number}/rollback", body=True, tagged=True, service=POLICY
        ),
        Operation("ExplainPolicy", "POST", "/policy/explain", body=True, service=POLICY),
        Operation("PreviewPolicy", "POST", "/policy/preview", body=True, service=POLICY),
    ),
    *_of(
        "server",
        Operation("GetSignInHealth", "GET", "/oidc/health", service=SERVER),
        Operation("ReloadConfiguration", "POST", "/reload", body=True, service=SERVER),
    ),
)
"""Calls of smartscale.admin.v1: what Headscale has no path for."""

EVERY = (*OPERATIONS, *ADDED)

BY_RPC = {operation.rpc: operation for operation in OPERATIONS}
