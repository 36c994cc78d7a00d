"""`policy explain` and `policy preview`: why a connection is allowed or not, and what a document would change."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.output import data, emit, show_warnings, table
from cli.frame.parser import Noun
from cli.link.remote import Remote
from cli.policy.files import (
    add_file,
    add_topology,
    path_of,
    read_file,
    read_text,
    refusals_as_data,
    refuse,
)
from cli.policy.topology import read_topology

_ASPECTS = {"packet_filter": "packet filter", "ssh": "ssh", "capabilities": "capabilities", "routes": "routes"}


def declare(noun: Noun, name: str) -> None:
    """Add the verbs."""
    parser = noun.verb(
        "explain", _explain, "Explain which rule lets SRC reach DST, or why none does", ("why",),
        f"headscale {name} explain alice laptop:22\n  headscale {name} explain group:dev tag:db:5432 --protocol tcp",
    )  # fmt: skip
    parser.add_argument("source", metavar="SRC", help="a node, user, group, tag, host of the policy, or address")
    parser.add_argument("destination", metavar="DST[:PORT]", help="the same")
    parser.add_argument("--protocol", default="", help="tcp, udp, icmp or a number; none: any of these three")
    parser.add_argument("--policy", default="", metavar="FILE", help="a policy instead of the one in force")
    add_topology(parser)
    parser = noun.verb(
        "preview", _preview, "Show what would change for each node if a policy were set", ("diff-nodes",),
        f"headscale {name} preview policy.hujson",
    )  # fmt: skip
    add_file(parser)
    add_topology(parser)
    parser.add_argument("--policy", default="", metavar="FILE", help="compare with this instead of the one in force")


def _explain(arguments: argparse.Namespace) -> None:
    answer = _explain_file(arguments) if arguments.topology else _explain_live(arguments)
    if arguments.output:
        emit(answer, arguments.output)
        return
    for one in answer["answers"]:
        word = "may reach" if one["allowed"] else "may not reach"
        sys.stdout.write(f"{one['source']} {word} {one['destination']}\n")
        for rule in one["rules"]:
            sys.stdout.write(f"  by {rule}\n")
        for rule in one["near"] if not one["allowed"] else ():
            sys.stdout.write(f"  nearly {rule}\n")
        if not one["allowed"] and not one["near"]:
            sys.stdout.write("  no rule names both\n")
    if not answer["answers"]:
        sys.stdout.write("SRC and DST are the same node\n")


def _explain_file(arguments: argparse.Namespace) -> dict[str, Any]:
    from services.policy.explain import explain

    if not arguments.policy:
        raise CommandError("which policy?", "a described tailnet has none: add --policy FILE", status=2)
    text, topology = read_file(arguments.policy), read_topology(arguments.topology)
    answer = explain(
        text, topology, arguments.source, arguments.destination, protocol=arguments.protocol, name=arguments.policy
    )
    if "errors" in answer:
        refuse(answer["errors"], arguments.output)
    return answer


def _explain_live(arguments: argparse.Namespace) -> dict[str, Any]:
    from smartscale.admin.v1 import policy_pb2 as pb

    request = pb.ExplainPolicyRequest(
        source=arguments.source,
        destination=arguments.destination,
        protocol=arguments.protocol,
        text=read_file(arguments.policy) if arguments.policy else "",
    )
    with refusals_as_data(arguments), Remote(arguments) as remote:
        answer: dict[str, Any] = data(remote.policies().call("ExplainPolicy", request))
    return answer


def _preview(arguments: argparse.Namespace) -> None:
    answer = _preview_file(arguments) if arguments.topology else _preview_live(arguments)
    if arguments.output:
        emit(answer, arguments.output)
        return
    show_warnings(answer.get("warnings", ()))
    rows = []
    for name, one in answer["nodes"].items():
        rows.append(
            (
                name,
                ", ".join(one["peers_added"]) or "-",
                ", ".join(one["peers_removed"]) or "-",
                ", ".join(text for key, text in _ASPECTS.items() if one[key]) or "-",
            )
        )
    if rows:
        table(("Node", "Would see", "Would no longer see", "Changes in"), rows)
    sys.stdout.write(f"{len(rows)} nodes would notice, {answer['unchanged']} would not\n")


def _preview_file(arguments: argparse.Namespace) -> dict[str, Any]:
    from services.policy.explain import preview

    path = path_of(arguments)
    topology = read_topology(arguments.topology)
    before = read_file(arguments.policy) if arguments.policy else ""
    answer = preview(before, read_text(arguments), topology, old_name=arguments.policy, new_name=path)
    if "errors" in answer:
        refuse(answer["errors"], arguments.output)
    return answer


def _preview_live(arguments: argparse.Namespace) -> dict[str, Any]:
    from smartscale.admin.v1 import policy_pb2 as pb

    if arguments.policy:
        raise CommandError(
            "--policy needs --topology", "the live tailnet is compared with its policy in force", status=2
        )
    with refusals_as_data(arguments), Remote(arguments) as remote:
        answer = remote.policies().call("PreviewPolicy", pb.PreviewPolicyRequest(text=read_text(arguments)))
    nodes = {
        one.node: {
            "peers_added": list(one.peers_added),
            "peers_removed": list(one.peers_removed),
            **{key: getattr(one, key) for key in _ASPECTS},
        }
        for one in answer.differences
    }
    return {"nodes": nodes, "unchanged": answer.unchanged, "warnings": list(answer.warnings)}
