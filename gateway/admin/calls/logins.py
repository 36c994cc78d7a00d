"""headscale.v1 and smartscale.admin.v1: devices and SSH sessions that wait for an administrator."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import grpc
import grpc.aio
import orjson
from headscale.v1 import auth_pb2 as login_pb2
from headscale.v1 import node_pb2
from smartscale.admin.v1 import pending_login_pb2
from smartscale.auth.v1 import auth_pb2

from gateway.admin.calls import convert
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused, invalid
from gateway.admin.services import Services
from services.shared.ids import AUTH_ID_PREFIX, is_auth_id
from services.shared.keys import DiscoKey, MachineKey, NodeKey

_HEX = re.compile(r"[0-9A-Fa-f]+")


class Logins:
    """Calls about pending logins and SSH sessions."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def DebugCreateNode(
        self, request: node_pb2.DebugCreateNodeRequest, call: CallContext
    ) -> node_pb2.DebugCreateNodeResponse:
        """Create a pending login as if a client had asked for it, under an auth id that the caller chooses."""
        user = await self._services.user_named(call, request.user)
        hostinfo = _hostinfo(request.name, request.routes)
        answer = await call.ask(
            self._services.auth.OpenLogin,
            auth_pb2.OpenLoginRequest(auth_id=_auth_id("key", request.key), hostinfo=hostinfo),
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

    async def RegisterNode(
        self, request: node_pb2.RegisterNodeRequest, call: CallContext
    ) -> node_pb2.RegisterNodeResponse:
        """Approve a pending login for a user; the older spelling of AuthRegister."""
        return node_pb2.RegisterNodeResponse(node=await self._approve(call, request.user, _auth_id("key", request.key)))

    async def AuthRegister(
        self, request: login_pb2.AuthRegisterRequest, call: CallContext
    ) -> login_pb2.AuthRegisterResponse:
        """Approve a pending login for a user."""
        return login_pb2.AuthRegisterResponse(
            node=await self._approve(call, request.user, _auth_id("auth_id", request.auth_id))
        )

    async def AuthApprove(
        self, request: login_pb2.AuthApproveRequest, call: CallContext
    ) -> login_pb2.AuthApproveResponse:
        """Approve an SSH session. A login needs an owner instead: its refusal names the command.

        Approving twice is no error.
        """
        auth_id = _auth_id("auth_id", request.auth_id)
        if await self._decide_ssh(call, auth_id, approve=True):
            return login_pb2.AuthApproveResponse()
        login = (
            await call.ask(self._services.auth.GetPendingLogin, auth_pb2.GetPendingLoginRequest(auth_id=auth_id))
        ).login
        if not login.approved:
            text = "login was rejected already" if login.decided else "this login needs an owner: auth register --user"
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, text)
        return login_pb2.AuthApproveResponse()

    async def AuthReject(self, request: login_pb2.AuthRejectRequest, call: CallContext) -> login_pb2.AuthRejectResponse:
        """Refuse a pending login or an SSH session."""
        auth_id = _auth_id("auth_id", request.auth_id)
        if not await self._decide_ssh(call, auth_id, approve=False):
            await call.ask(self._services.auth.RejectLogin, auth_pb2.RejectLoginRequest(auth_id=auth_id))
        return login_pb2.AuthRejectResponse()

    async def _decide_ssh(self, call: CallContext, auth_id: str, *, approve: bool) -> bool:
        """Approve or refuse the SSH session with this auth id. Returns False if there is none: it may be a login's."""
        request = auth_pb2.DecideSshCheckRequest(auth_id=auth_id, approve=approve, actor=call.caller.actor)
        try:
            await call.ask(self._services.auth.DecideSshCheck, request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return False
        return True

    async def _approve(self, call: CallContext, name: str, auth_id: str) -> node_pb2.Node:
        user = await self._services.user_named(call, name)
        answer = await call.ask(
            self._services.auth.ApproveLogin, auth_pb2.ApproveLoginRequest(auth_id=auth_id, user_id=user.id)
        )
        return convert.node(answer.node, {user.id: user})

    async def ListPendingLogins(
        self, request: pending_login_pb2.ListPendingLoginsRequest, call: CallContext
    ) -> pending_login_pb2.ListPendingLoginsResponse:
        """List the pending logins and SSH sessions."""
        auth = self._services.auth
        answer = await call.ask(auth.ListPendingLogins, auth_pb2.ListPendingLoginsRequest())
        sessions = await call.ask(auth.ListSshChecks, auth_pb2.ListSshChecksRequest())
        return pending_login_pb2.ListPendingLoginsResponse(
            logins=[
                pending_login_pb2.PendingLogin(
                    auth_id=login.auth_id,
                    hostname=login.hostname,
                    os=login.os,
                    remote_address=login.remote_address,
                    machine_key=str(MachineKey(login.machine_key)),
                    created_at=login.created_at,
                    expires_at=login.expires_at,
                )
                for login in answer.logins
                if not login.decided
            ],
            ssh_sessions=[
                pending_login_pb2.PendingSshSession(
                    auth_id=check.auth_id,
                    source_id=check.source_id,
                    source=check.source_name,
                    user=check.user_name,
                    destination_id=check.destination_id,
                    destination=check.destination_name,
                    local_user=check.local_user,
                    created_at=check.created_at,
                    expires_at=check.expires_at,
                )
                for check in sessions.checks
            ],
        )


def _auth_id(name: str, text: str) -> str:
    """Read an auth id in any form that is handed around: itself, its 24 characters, or the address of its sign-in page.

    The ids that this server makes are hexadecimal and found in either case.

    Raises:
        Refused: it is none of them.
    """
    last = text.strip().split("?")[0].rstrip("/").rpartition("/")[2]
    secret = last[len(AUTH_ID_PREFIX) :] if last.lower().startswith(AUTH_ID_PREFIX) else last
    found = AUTH_ID_PREFIX + (secret.lower() if _HEX.fullmatch(secret) else secret)
    if not is_auth_id(found):
        raise invalid(name, f"an auth id is '{AUTH_ID_PREFIX}' and 24 letters, digits, - or _")
    return found


def _hostinfo(name: str, routes: Iterable[str]) -> bytes:
    networks = []
    for number, route in enumerate(routes):
        try:
            networks.append(str(ipaddress.ip_network(route, strict=False)))
        except ValueError:
            raise invalid(f"routes[{number}]", "a route is a CIDR such as 10.0.0.0/8") from None
    return orjson.dumps({"Hostname": name, "OS": "TestOS", "RoutableIPs": networks})
