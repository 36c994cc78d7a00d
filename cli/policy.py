"""`headscale policy` and `headscale acls`: the document that says who may reach whom."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from cli.errors import CommandError
from cli.output import data, emit
from cli.parser import Noun
from cli.remote import Remote

LIMIT = 4 << 20


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    for name, aliases in (("policy", ()), ("acls", ("acl",))):
        noun = Noun(nouns, name, "Who may reach whom", aliases)
        noun.verb("get", _get, "Print the policy in force", ("show", "view", "fetch"))
        for verb, run, text, others in (
            ("set", _set, "Put a policy in force", ("put", "update")),
            ("check", _check, "Check a policy without putting it in force", ()),
        ):
            parser = noun.verb(verb, run, text, others, f"headscale {name} {verb} -f policy.hujson")
            parser.add_argument("path", nargs="?", metavar="FILE", default="")
            parser.add_argument("-f", "--file", default="", help="HuJSON or YAML; - for standard input")


def _text(arguments: argparse.Namespace) -> str:
    path = arguments.file or arguments.path
    if not path:
        raise CommandError("which file?", "say --file FILE, or - for standard input", status=2)
    try:
        raw = sys.stdin.buffer.read(LIMIT + 1) if path == "-" else Path(path).read_bytes()
        text = raw.decode()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path}: not UTF-8 text") from None
    if len(raw) > LIMIT:
        raise CommandError(f"{path}: larger than {LIMIT} bytes")
    return text


def _get(arguments: argparse.Namespace) -> None:
    from headscale.v1 import policy_pb2

    with Remote(arguments) as remote:
        answer = remote.call("GetPolicy", policy_pb2.GetPolicyRequest())
    if arguments.output:
        emit(data(answer), arguments.output)
    else:
        sys.stdout.write(answer.policy if answer.policy.endswith("\n") else answer.policy + "\n")


def _set(arguments: argparse.Namespace) -> None:
    from headscale.v1 import policy_pb2

    text = _text(arguments)
    with Remote(arguments) as remote:
        answer = remote.call("SetPolicy", policy_pb2.SetPolicyRequest(policy=text))
    if arguments.output:
        emit(data(answer), arguments.output)
    else:
        print("policy set")


def _check(arguments: argparse.Namespace) -> None:
    from headscale.v1 import policy_pb2

    text = _text(arguments)
    with Remote(arguments) as remote:
        remote.call("CheckPolicy", policy_pb2.CheckPolicyRequest(policy=text))
    print("policy is valid")
