"""`headscale policy` and `headscale acls`: sets and prints the document that decides who may reach whom."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.output import emit, modern, show_warnings
from cli.frame.parser import Noun
from cli.frame.values import positive
from cli.link.direct import Direct, add_flag
from cli.link.refusals import NoSuchThingError
from cli.link.remote import Remote
from cli.policy import offline, questions, versions
from cli.policy.files import LIMIT, add_file, read_text, refusals_as_data

__all__ = ["LIMIT", "declare"]


def declare(nouns: Any) -> None:
    """Add the nouns and their verbs."""
    for name, aliases in (("policy", ()), ("acls", ("acl",))):
        noun = Noun(nouns, name, "Who may reach whom", aliases)
        parser = noun.verb("get", _get, "Print the policy in force", ("show", "view", "fetch"))
        parser.add_argument(
            "number", nargs="?", type=positive, default=0, metavar="N", help="a version; none: in force"
        )
        add_flag(parser)
        parser = noun.verb(
            "set", _set, "Put a policy in force", ("put", "update"), f"headscale {name} set policy.hujson"
        )
        add_file(parser)
        parser.add_argument("--reason", default="", help="reason, kept with the version")
        parser.add_argument("--if-match", default="", metavar="ETAG", help="only if the policy in force has this etag")
        add_flag(parser)
        offline.declare(noun, name)
        questions.declare(noun, name)
        versions.declare(noun, name)


def _get(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import policy_pb2 as pb

    # Standard output is the policy: a script that keeps it must not keep an error in its place.
    refusals = refusals_as_data(arguments) if modern() else nullcontext()
    with refusals, Direct(arguments) if arguments.direct else Remote(arguments) as remote:
        try:
            found = remote.policies().call("GetPolicy", pb.GetPolicyRequest(number=arguments.number)).version
        except NoSuchThingError as error:
            steps = "see: headscale policy versions" if arguments.number else "set one: headscale policy set FILE"
            raise CommandError(str(error), "" if modern() and arguments.output else steps) from None
    if arguments.output and modern():
        emit(versions.plain(found), arguments.output)
    else:  # the document itself in every format, as Headscale prints it
        sys.stdout.write(found.text if found.text.endswith("\n") else found.text + "\n")


def _set(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import policy_pb2 as pb

    text = read_text(arguments)
    request = pb.SetPolicyRequest(text=text, reason=arguments.reason, if_match=arguments.if_match)
    with (
        refusals_as_data(arguments),
        Direct(arguments, writes=True) if arguments.direct else Remote(arguments) as remote,
    ):
        answer = remote.policies().call("SetPolicy", request)
    if arguments.output:
        emit({**versions.plain(answer.version), "warnings": list(answer.warnings)}, arguments.output)
        return
    show_warnings(answer.warnings)
    print(f"policy set, version {answer.version.number}")
