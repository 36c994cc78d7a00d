"""headscale.v1: nodes and the logins that become nodes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Any

import grpc
import grpc.aio
import orjson
from headscale.v1 import auth_pb2 as login_pb2
from headscale.v1 import node_pb2
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import node_pb2 as node_types

from gateway.admin import author, convert
from gateway.admin.checks import wrong
from gateway.admin.stubs import DEADLINE, Refused, Services
from services.shared.keys import DiscoKey, MachineKey, NodeKey

_AUTH_ID = re.compile(r"hskey-authreq-[0-9a-f]{24}", re.ASCII)


class Devices:
    """The calls about nodes."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetNode(self, request: node_pb2.GetNodeRequest, context: Any) -> node_pb2.GetNodeResponse:
        """Fetch one node."""
        answer = await self._services.registry.GetNode(
            registry_pb2.GetNodeRequest(id=request.node_id), timeout=DEADLINE
        )
        return node_pb2.GetNodeResponse(node=await self._shown(answer.node))

    async def ListNodes(self, request: node_pb2.ListNodesRequest, context: Any) -> node_pb2.ListNodesResponse:
        """List nodes, or those of the user with this name."""
        user_id = (await self._services.user_named(request.user)).id if request.user else 0
        answer = await self._services.registry.ListNodes(registry_pb2.ListNodesRequest(), timeout=DEADLINE)
        users, served = convert.by_id(answer.users), convert.served(answer.nodes)
        keys = await self._services.keys() if any(node.pre_auth_key_id for node in answer.nodes) else {}
        return node_pb2.ListNodesResponse(
            nodes=[
                convert.node(node, users, keys, served[node.id])
                for node in answer.nodes
                if user_id in (0, node.user_id)
            ]
        )

    async def SetTags(self, request: node_pb2.SetTagsRequest, context: Any) -> node_pb2.SetTagsResponse:
        """Replace a node's tags."""
        answer = await self._services.registry.SetTags(
            registry_pb2.SetTagsRequest(id=request.node_id, tags=request.tags), timeout=DEADLINE
        )
        return node_pb2.SetTagsResponse(node=await self._shown(answer.node))

    async def SetApprovedRoutes(
        self, request: node_pb2.SetApprovedRoutesRequest, context: Any
    ) -> node_pb2.SetApprovedRoutesResponse:
        """Replace a node's approved routes."""
        answer = await self._services.registry.SetApprovedRoutes(
            registry_pb2.SetApprovedRoutesRequest(id=request.node_id, routes=request.routes), timeout=DEADLINE
        )
        listed = await self._services.registry.ListNodes(registry_pb2.ListNodesRequest(), timeout=DEADLINE)
        nodes = [answer.node if node.id == answer.node.id else node for node in listed.nodes]
        mine = convert.served(nodes).get(answer.node.id, [])
        primaries = [route for route in mine if route not in convert.EXIT_ROUTES]
        return node_pb2.SetApprovedRoutesResponse(node=await self._shown(answer.node, primaries))

    async def DeleteNode(self, request: node_pb2.DeleteNodeRequest, context: Any) -> node_pb2.DeleteNodeResponse:
        """Delete a node."""
        await self._services.registry.DeleteNode(registry_pb2.DeleteNodeRequest(id=request.node_id), timeout=DEADLINE)
        return node_pb2.DeleteNodeResponse()

    async def ExpireNode(self, request: node_pb2.ExpireNodeRequest, context: Any) -> node_pb2.ExpireNodeResponse:
        """Set when a node's key ends."""
        if request.disable_expiry and request.HasField("expiry"):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "disable_expiry: excludes expiry")
        answer = await self._services.registry.ExpireNode(
            registry_pb2.ExpireNodeRequest(
                id=request.node_id,
                expiry=request.expiry if request.HasField("expiry") else None,
                disable_expiry=request.disable_expiry,
            ),
            timeout=DEADLINE,
        )
        return node_pb2.ExpireNodeResponse(node=await self._shown(answer.node))

    async def RenameNode(self, request: node_pb2.RenameNodeRequest, context: Any) -> node_pb2.RenameNodeResponse:
        """Give a node another name."""
        answer = await self._services.registry.RenameNode(
            registry_pb2.RenameNodeRequest(id=request.node_id, new_name=request.new_name), timeout=DEADLINE
        )
        return node_pb2.RenameNodeResponse(node=await self._shown(answer.node))

    async def BackfillNodeIPs(
        self, request: node_pb2.BackfillNodeIPsRequest, context: Any
    ) -> node_pb2.BackfillNodeIPsResponse:
        """Give nodes the addresses that they lack."""
        if not request.confirmed:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "confirmed: must be true, because nodes get new addresses")
        answer = await self._services.registry.BackfillNodeIps(registry_pb2.BackfillNodeIpsRequest(), timeout=DEADLINE)
        return node_pb2.BackfillNodeIPsResponse(changes=answer.changes)

    async def DebugCreateNode(
        self, request: node_pb2.DebugCreateNodeRequest, context: Any
    ) -> node_pb2.DebugCreateNodeResponse:
        """Make a pending login as if a client had asked, under an auth id of the caller's choice."""
        user = await self._services.user_named(request.user)
        hostinfo = _hostinfo(request.name, request.routes)
        answer = await self._services.auth.OpenLogin(
            auth_pb2.OpenLoginRequest(auth_id=_auth_id("key", request.key), hostinfo=hostinfo), timeout=DEADLINE
        )
        login = answer.login
        return node_pb2.DebugCreateNodeResponse(
            node=node_pb2.Node(
                machine_key=str(MachineKey(login.machine_key)),
                node_key=str(NodeKey(login.node_key)),
                disco_key=str(DiscoKey.zero()),
                name=request.name,
                user=convert.user(user),
                created_at=login.created_at,
                available_routes=orjson.loads(hostinfo)["RoutableIPs"],
            )
        )

    async def RegisterNode(self, request: node_pb2.RegisterNodeRequest, context: Any) -> node_pb2.RegisterNodeResponse:
        """Approve a pending login for a user; the older spelling of AuthRegister."""
        return node_pb2.RegisterNodeResponse(node=await self._approve(request.user, _auth_id("key", request.key)))

    async def AuthRegister(
        self, request: login_pb2.AuthRegisterRequest, context: Any
    ) -> login_pb2.AuthRegisterResponse:
        """Approve a pending login for a user."""
        return login_pb2.AuthRegisterResponse(
            node=await self._approve(request.user, _auth_id("auth_id", request.auth_id))
        )

    async def AuthApprove(self, request: login_pb2.AuthApproveRequest, context: Any) -> login_pb2.AuthApproveResponse:
        """Approve what waits for a yes: an SSH session. A login waits for an owner instead, and says so.

        Saying yes twice is fine.
        """
        auth_id = _auth_id("auth_id", request.auth_id)
        if await self._decide_ssh(auth_id, approve=True):
            return login_pb2.AuthApproveResponse()
        login = (
            await self._services.auth.GetPendingLogin(
                auth_pb2.GetPendingLoginRequest(auth_id=auth_id), timeout=DEADLINE
            )
        ).login
        if not login.approved:
            text = "login was rejected already" if login.decided else "this login needs an owner: auth register --user"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, text)
        return login_pb2.AuthApproveResponse()

    async def AuthReject(self, request: login_pb2.AuthRejectRequest, context: Any) -> login_pb2.AuthRejectResponse:
        """Refuse a pending login or an SSH session."""
        auth_id = _auth_id("auth_id", request.auth_id)
        if not await self._decide_ssh(auth_id, approve=False):
            await self._services.auth.RejectLogin(auth_pb2.RejectLoginRequest(auth_id=auth_id), timeout=DEADLINE)
        return login_pb2.AuthRejectResponse()

    async def _decide_ssh(self, auth_id: str, *, approve: bool) -> bool:
        """Decide the SSH session under this auth id; False when there is none, so that it may be a login's."""
        request = auth_pb2.DecideSshCheckRequest(auth_id=auth_id, approve=approve, actor=author.current())
        try:
            await self._services.auth.DecideSshCheck(request, timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return False
        return True

    async def _approve(self, name: str, auth_id: str) -> node_pb2.Node:
        user = await self._services.user_named(name)
        answer = await self._services.auth.ApproveLogin(
            auth_pb2.ApproveLoginRequest(auth_id=auth_id, user_id=user.id), timeout=DEADLINE
        )
        return convert.node(answer.node, {user.id: user})

    async def _shown(self, node: node_types.Node, served: Sequence[str] = ()) -> node_pb2.Node:
        return convert.node(node, await self._services.users() if node.user_id else {}, served=served)


def _auth_id(name: str, text: str) -> str:
    if not _AUTH_ID.fullmatch(text):
        raise wrong(name, "an auth id is 'hskey-authreq-' and 24 hexadecimal digits")
    return text


def _hostinfo(name: str, routes: Iterable[str]) -> bytes:
    networks = []
    for number, route in enumerate(routes):
        try:
            networks.append(str(ipaddress.ip_network(route, strict=False)))
        except ValueError:
            raise wrong(f"routes[{number}]", "a route is a CIDR such as 10.0.0.0/8") from None
    return orjson.dumps({"Hostname": name, "OS": "TestOS", "RoutableIPs": networks})
