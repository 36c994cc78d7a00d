"""Pages about who may reach whom: the policy, its compiled form, and what follows from it for nodes."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import grpc.aio
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb
from smartscale.policy.v1 import policy_pb2

from gateway.debug.asking import DEADLINE, ServiceQueries, answering, more, parsed, time_of
from services.shared.telemetry.pages import Document, Pages, Parameters, Read


def add_pages(pages: Pages, services: ServiceQueries) -> None:
    """Register the pages."""

    async def policy(_: Parameters) -> Document:
        try:
            answer = await services.policy.GetPolicy(policy_pb2.GetPolicyRequest(), timeout=DEADLINE)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return {"version": 0, "remark": "no policy was ever set: everybody may reach everybody"}
            with answering("policy"):
                raise
        version = answer.version
        return {
            "version": version.number,
            "author": version.author,
            "reason": version.reason,
            "created_at": time_of(version, "created_at"),
            "etag": version.etag,
            "policy": version.text,
        }

    async def compiled(_: Parameters) -> Document:
        with answering("policy"):
            answer = await services.policy.GetCompiled(policy_pb2.GetCompiledRequest(), timeout=DEADLINE)
        return {"version": answer.version, "position": answer.seq, "compiled": parsed(answer.compiled)}

    def of_nodes(part: Callable[[pb.ShownNode], Document]) -> Read:
        async def read(parameters: Parameters) -> Document:
            answer = await services.shown(parameters)
            shown = {f"{node.id} {node.given_name}": part(node) for node in answer.nodes}
            return {**more(answer.more, answer.nodes), "nodes": shown}

        return read

    def filter_of(node: pb.ShownNode) -> Document:
        return {
            "class": node.class_number,
            "peers": list(node.peer_ids),
            "capabilities": parsed(node.cap_map),
            "allowed_routes": list(node.allowed_routes),
            "primary_routes": list(node.primary_routes),
            "packet_filter": parsed(node.packet_filter),
        }

    def ssh_of(node: pb.ShownNode) -> Document:
        return {"ssh_policy": parsed(node.ssh_policy)}

    pages.add("policy", "The policy in force, as it was written.", policy)
    pages.add("policy-manager", "The compiled policy that the map streamers evaluate.", compiled)
    pages.add(
        "filter", "Peers, capabilities and packet filter of each node; ?node=ID or NAME for one.", of_nodes(filter_of)
    )
    pages.add("ssh", "The SSH policy of each node; ?node=ID or NAME for one.", of_nodes(ssh_of))
