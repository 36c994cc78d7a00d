"""`policy check` and `policy compile`: checks a document; needs no server where a file describes the tailnet."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.output import emit, show_warnings
from cli.frame.parser import Noun
from cli.link.direct import Direct, add_flag
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


def declare(noun: Noun, name: str) -> None:
    """Add the verbs."""
    parser = noun.verb(
        "check", _check, "Check a policy without putting it in force", (), f"headscale {name} check policy.hujson"
    )
    add_file(parser)
    add_topology(parser)
    add_flag(parser)
    parser.add_argument("--offline", action="store_true", help="the document alone, without its tests and any tailnet")
    parser = noun.verb(
        "compile", _compile, "Show what a policy gives each node of a described tailnet", (),
        f"headscale {name} compile --policy policy.hujson --topology tailnet.yaml -o json",
    )  # fmt: skip
    parser.add_argument("--policy", required=True, metavar="FILE", help="HuJSON or YAML; - for standard input")
    parser.add_argument("--topology", required=True, metavar="FILE", help="users and nodes, in JSON or YAML")


def _check(arguments: argparse.Namespace) -> None:
    path, text = path_of(arguments), read_text(arguments)
    if arguments.topology:
        from services.policy.compile import run

        answer = run(text, read_topology(arguments.topology), name=_name(path))
        if "errors" in answer:
            refuse(answer["errors"], arguments.output)
        warnings = answer["warnings"]
    elif arguments.offline:
        warnings = _alone(path, text, arguments.output)
    else:
        _readable(path, text, arguments.output)
        warnings = _live(arguments, text)
    if arguments.output:
        emit({"warnings": list(warnings)}, arguments.output)
        return
    show_warnings(warnings)
    print("policy is valid")


def _readable(path: str, text: str, output: str | None) -> None:
    """Refuse a text with a fault of syntax without asking the server, which alone knows users, domains and groups."""
    from services.policy.offline import PolicyError, read_policy

    try:
        read_policy(text, _name(path))
    except PolicyError as error:
        refuse(error.lines, output)


def _alone(path: str, text: str, output: str | None) -> list[str]:
    from services.policy.offline import PolicyError, compile_policy

    try:
        document = compile_policy(text, name=_name(path))
    except PolicyError as error:
        refuse(error.lines, output)
    return [str(warning) for warning in document.warnings]


def _live(arguments: argparse.Namespace, text: str) -> list[str]:
    from smartscale.admin.v1 import policy_pb2 as pb

    with refusals_as_data(arguments), Direct(arguments) if arguments.direct else Remote(arguments) as remote:
        return list(remote.policies().call("CheckPolicy", pb.CheckPolicyRequest(text=text)).warnings)


def _compile(arguments: argparse.Namespace) -> None:
    from services.policy.compile import run

    try:
        topology = read_topology(arguments.topology)
        text = read_file(arguments.policy)
    except CommandError as error:
        refuse([str(error)], arguments.output)
    answer = run(text, topology, name=_name(arguments.policy))
    if "errors" in answer:
        refuse(answer["errors"], arguments.output)
    if arguments.output:
        emit(answer, arguments.output)
        return
    show_warnings(answer["warnings"])
    for name, node in answer["nodes"].items():
        _show(name, node)


def _show(name: str, node: dict[str, Any]) -> None:
    """Print one node for people: its peers, and what it lets in."""
    sys.stdout.write(f"{name}\n  peers: {', '.join(node['peers']) or 'none'}\n")
    for rule in node["packet_filter"]:
        ports = ", ".join(_ports(one) for one in rule.get("DstPorts") or ())
        granted = ", ".join(cap for grant in rule.get("CapGrant") or () for cap in grant.get("CapMap") or {})
        protocols = f" protocols {'/'.join(map(str, rule['IPProto']))}" if rule.get("IPProto") else ""
        sys.stdout.write(f"  lets in {', '.join(rule['SrcIPs'])} to {ports or granted}{protocols}\n")
    if node["ssh"]:
        sys.stdout.write(f"  ssh rules: {len(node['ssh'])}\n")
    if node["approved_routes"]:
        sys.stdout.write(f"  routes: {', '.join(node['approved_routes'])}\n")


def _ports(one: dict[str, Any]) -> str:
    first, last = one["Ports"]["First"], one["Ports"]["Last"]
    shown = "*" if (first, last) == (0, 65535) else str(first) if first == last else f"{first}-{last}"
    return f"{one['IP']}:{shown}"


def _name(path: str) -> str:
    return "" if path == "-" else path
