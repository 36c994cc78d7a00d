"""Debug pages about the tailnet: overview, nodes, routes, pending logins."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping

from smartscale.auth.v1 import auth_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2
from smartscale.policy.v1 import policy_pb2
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import node_pb2 as node_types

from gateway.debug.asking import DEADLINE, ServiceQueries, answering, more, time_of
from services.shared.keys import DiscoKey, MachineKey, NodeKey
from services.shared.telemetry.pages import Document, PageError, Pages, Parameters

MAX_SHOWN = 1000
"""Nodes on one page; others are found by `?node=`."""
_COUNTED: Mapping[str, Callable[[node_types.Node], bool]] = {
    "online": lambda node: node.online,
    "expired": lambda node: node.expired,
    "ephemeral": lambda node: node.ephemeral,
    "tagged": lambda node: bool(node.tags),
    "routers": lambda node: bool(node.advertised_routes or node.approved_routes),
}
_SHOWN_OF_A_LOGIN = 4
"""Characters of a login's secret that are shown: enough to distinguish two, too few to sign in with."""


def add_pages(pages: Pages, services: ServiceQueries, here: Callable[[], Document]) -> None:
    """Register the pages; `here` describes the state of this gateway."""

    async def overview(_: Parameters) -> Document:
        return await _overview(services, here())

    async def nodestore(parameters: Parameters) -> Document:
        wanted = await services.node_id(parameters)
        if wanted is not None:
            return {"nodes": [_node(await services.node(wanted))]}
        request = registry_pb2.ListNodesRequest(limit=MAX_SHOWN + 1)
        found = [_node(node) async for node in services.nodes(request)]
        return {**more(len(found) > MAX_SHOWN, found[:MAX_SHOWN]), "nodes": found[:MAX_SHOWN]}

    async def routes(_: Parameters) -> Document:
        answer = await services.shown({})
        primary = {node.id: list(node.primary_routes) for node in answer.nodes}
        request = registry_pb2.ListNodesRequest(routers_only=True)
        return {"routers": [_routes(node, primary) async for node in services.nodes(request)]}

    async def logins(_: Parameters) -> Document:
        with answering("auth"):
            answer = await services.auth.ListPendingLogins(auth_pb2.ListPendingLoginsRequest(), timeout=DEADLINE)
            sessions = await services.auth.ListSshChecks(auth_pb2.ListSshChecksRequest(), timeout=DEADLINE)
        return {
            "pending_logins": [_login(login) for login in answer.logins],
            "ssh_sessions": [_ssh_session(check) for check in sessions.checks],
        }

    pages.add("overview", "How much there is of everything, and whether the services answer.", overview)
    pages.add("nodestore", "Every node as the registry knows it; ?node=ID or NAME for one.", nodestore)
    pages.add("routes", "Routers with the routes they offer, may serve and serve.", routes)
    pages.add("registration-cache", "Pending logins and SSH sessions, their secrets cut short.", logins)


async def _overview(services: ServiceQueries, here: Document) -> Document:
    parts = await asyncio.gather(
        _part(_nodes_of(services)),
        _part(_keys_of(services)),
        _part(_policy_of(services)),
        _part(_streamer_of(services)),
    )
    names = ("registry", "auth", "policy", "map_streamer")
    return {"gateway": here, **dict(zip(names, parts, strict=True))}


async def _part(asked: object) -> object:
    """Return one service's part, or its error: a service that does not answer must not hide the others."""
    try:
        return await asked  # type: ignore[misc]
    except PageError as error:
        return {"error": str(error)}


async def _nodes_of(services: ServiceQueries) -> Document:
    counts: Counter[str] = Counter()
    versions: Counter[int] = Counter()
    async for node in services.nodes(registry_pb2.ListNodesRequest()):
        counts.update(name for name, counted in _COUNTED.items() if counted(node))
        versions[node.cap_version] += 1
    with answering("registry"):
        users = (await services.registry.ListUsers(registry_pb2.ListUsersRequest(), timeout=DEADLINE)).users
    return {
        "users": len(users),
        "nodes": versions.total(),
        **{name: counts[name] for name in _COUNTED},
        "capability_versions": {str(version): count for version, count in sorted(versions.items())},
    }


async def _keys_of(services: ServiceQueries) -> Document:
    with answering("auth"):
        keys = await services.auth.ListPreAuthKeys(auth_pb2.ListPreAuthKeysRequest(), timeout=DEADLINE)
        api_keys = await services.auth.ListApiKeys(auth_pb2.ListApiKeysRequest(), timeout=DEADLINE)
        logins = await services.auth.ListPendingLogins(auth_pb2.ListPendingLoginsRequest(), timeout=DEADLINE)
    return {
        "pre_auth_keys": len(keys.pre_auth_keys),
        "api_keys": len(api_keys.api_keys),
        "pending_logins": len(logins.logins),
    }


async def _policy_of(services: ServiceQueries) -> Document:
    with answering("policy"):
        answer = await services.policy.GetCompiled(policy_pb2.GetCompiledRequest(), timeout=DEADLINE)
    return {"version": answer.version, "position": answer.seq, "compiled_bytes": len(answer.compiled)}


async def _streamer_of(services: ServiceQueries) -> Document:
    with answering("map_streamer"):
        status = await services.map_streamer.GetStatus(map_streamer_pb2.GetStatusRequest(), timeout=DEADLINE)
    return {
        "registry_position": status.cursor.registry,
        "policy_position": status.cursor.policy,
        "nodes": status.nodes,
        "sessions": status.sessions,
        "gateways": status.gateways,
    }


def _node(node: node_types.Node) -> Document:
    return {
        "id": node.id,
        "given_name": node.given_name,
        "hostname": node.hostname,
        "user_id": node.user_id,
        "tags": list(node.tags),
        "machine_key": str(MachineKey(node.machine_key)),
        "node_key": str(NodeKey(node.node_key)),
        "disco_key": str(DiscoKey(node.disco_key or bytes(32))),
        "addresses": [address for address in (node.ipv4, node.ipv6) if address],
        "endpoints": list(node.endpoints),
        "home_derp": node.home_derp,
        "capability_version": node.cap_version,
        "online": node.online,
        "last_seen": time_of(node, "last_seen"),
        "expiry": time_of(node, "expiry"),
        "expired": node.expired,
        "ephemeral": node.ephemeral,
        "created_at": time_of(node, "created_at"),
    }


def _routes(node: node_types.Node, primary: dict[int, list[str]]) -> Document:
    return {
        "id": node.id,
        "given_name": node.given_name,
        "online": node.online,
        "advertised": list(node.advertised_routes),
        "approved": list(node.approved_routes),
        "primary": primary.get(node.id, []),
    }


def _ssh_session(check: auth_pb2.SshCheck) -> Document:
    return {
        "auth_id": _cut(check.auth_id),
        "source": check.source_name,
        "owner": check.user_name,
        "destination": check.destination_name,
        "local_user": check.local_user,
        "created_at": time_of(check, "created_at"),
        "expires_at": time_of(check, "expires_at"),
    }


def _cut(auth_id: str) -> str:
    head, _, secret = auth_id.rpartition("-")
    return f"{head}-{secret[:_SHOWN_OF_A_LOGIN]}***"


def _login(login: auth_pb2.PendingLogin) -> Document:
    return {
        "auth_id": _cut(login.auth_id),
        "hostname": login.hostname,
        "os": login.os,
        "remote_address": login.remote_address,
        "machine_key": str(MachineKey(login.machine_key)),
        "created_at": time_of(login, "created_at"),
        "expires_at": time_of(login, "expires_at"),
        "decided": login.decided,
    }
