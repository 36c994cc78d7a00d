"""`policy versions`, `diff` and `rollback`: earlier policies, their authors and reasons, and the way back to one."""

from __future__ import annotations

import argparse
import sys
from difflib import unified_diff
from typing import Any

from cli.frame.output import data, emit, show_warnings, table, when
from cli.frame.parser import Noun
from cli.frame.values import positive
from cli.link.remote import Remote
from cli.policy.files import refusals_as_data


def declare(noun: Noun, name: str) -> None:
    """Add the verbs."""
    parser = noun.verb("versions", _versions, "List the versions, newest first", ("history", "log"))
    parser.add_argument("--limit", type=positive, default=20, metavar="N", help="at most this many (20)")
    parser.add_argument("--before", type=positive, default=0, metavar="N", help="only versions below this number")
    parser = noun.verb("diff", _diff, "Compare two versions", (), f"headscale {name} diff 3 4")
    parser.add_argument("first", type=positive, metavar="A")
    parser.add_argument("second", type=positive, nargs="?", default=0, metavar="B", help="none: the one in force")
    parser = noun.verb(
        "rollback", _roll_back, "Put an earlier version in force again", ("revert",), f"headscale {name} rollback 3"
    )
    parser.add_argument("number", type=positive, metavar="N")
    parser.add_argument("--reason", default="", help="kept with the version")
    parser.add_argument("--if-match", default="", metavar="ETAG", help="only when the policy in force has this etag")


def plain(version: Any) -> dict[str, Any]:
    """Return a version as data; `policy` and `updatedAt` are Headscale's names for its text and time."""
    found: dict[str, Any] = data(version)
    text = found.pop("text")
    shown = {"policy": text} if text else {}
    return {**shown, "updatedAt": found.pop("createdAt", None), **found}


def _versions(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import policy_pb2 as pb

    request = pb.ListVersionsRequest(limit=min(arguments.limit, 1000), before=arguments.before)
    with refusals_as_data(arguments), Remote(arguments) as remote:
        found = remote.policies().call("ListVersions", request).versions
    if arguments.output:
        emit([plain(version) for version in found], arguments.output)
        return
    rows = [
        (str(one.number), when(one.created_at), one.author or "-", one.etag[:12], one.reason or "-") for one in found
    ]
    table(
        ("Version", "Set at", "By", "Etag", "Reason"), rows, spare=("Etag",),
        empty="no policy was set yet; set one: headscale policy set FILE",
    )  # fmt: skip


def _diff(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import policy_pb2 as pb

    with refusals_as_data(arguments), Remote(arguments) as remote:
        policies = remote.policies()
        first, second = (
            policies.call("GetPolicy", pb.GetPolicyRequest(number=number)).version
            for number in (arguments.first, arguments.second)
        )
    lines = list(
        unified_diff(
            first.text.splitlines(), second.text.splitlines(),
            f"version {first.number}", f"version {second.number}", when(first.created_at), when(second.created_at),
            lineterm="",
        )
    )  # fmt: skip
    if arguments.output:
        emit({"from": plain(first), "to": plain(second), "diff": lines}, arguments.output)
        return
    sys.stdout.write("".join(line + "\n" for line in lines))


def _roll_back(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import policy_pb2 as pb

    request = pb.RollBackPolicyRequest(number=arguments.number, reason=arguments.reason, if_match=arguments.if_match)
    with refusals_as_data(arguments), Remote(arguments) as remote:
        answer = remote.policies().call("RollBackPolicy", request)
    if arguments.output:
        emit({**plain(answer.version), "warnings": list(answer.warnings)}, arguments.output)
        return
    show_warnings(answer.warnings)
    print(f"policy set, version {answer.version.number}, as version {arguments.number} was")
