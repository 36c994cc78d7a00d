"""`headscale users suspend` and `restore`: takes a user's access away and gives it back."""

from __future__ import annotations

import argparse

from cli.frame.output import print_result
from cli.frame.parser import Noun
from cli.link.remote import Remote


def add_to(noun: Noun) -> None:
    """Add the verbs to `users`."""
    suspend = noun.verb(
        "suspend",
        _suspend,
        "End the access of a user's nodes and refuse their sign-ins, until restored",
        (),
        "headscale users suspend alice@example.com --reason 'left the company'",
    )
    restore = noun.verb(
        "restore",
        _restore,
        "Lift a suspension: nodes have the access that they had before",
        (),
        "headscale users restore alice@example.com",
    )
    for parser in (suspend, restore):
        parser.add_argument("who", metavar="USER", help="id, name or e-mail")
        parser.add_argument("--reason", default="", help="reason, kept with the change")


def _suspend(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import user_pb2 as pb

    with Remote(arguments) as remote:
        request = pb.SuspendUserRequest(user=arguments.who, reason=arguments.reason)
        user = remote.people().call("SuspendUser", request).user
    print_result(arguments, user, f"user {user.name} is suspended: their nodes have no access")


def _restore(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import user_pb2 as pb

    with Remote(arguments) as remote:
        request = pb.RestoreUserRequest(user=arguments.who, reason=arguments.reason)
        user = remote.people().call("RestoreUser", request).user
    print_result(arguments, user, f"user {user.name} is restored: their nodes have access again")
