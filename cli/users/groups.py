"""`headscale groups`: lists groups and their members with the source of each. Groups change in policy and provider."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.output import data, emit, table, when
from cli.frame.parser import Noun
from cli.link.remote import Remote


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "groups", "Groups of the policy and of sign-in providers", ("group",))
    noun.verb("list", _list, "List the groups that the policy or a provider knows", ("ls",), "headscale groups list")
    show = noun.verb(
        "show", _show, "Show the members of a group and the source of each membership", (), "headscale groups show dev"
    )
    show.add_argument("name", metavar="NAME", help="with or without group:")


def _list(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import user_pb2 as pb

    with Remote(arguments) as remote:
        groups = list(remote.people().call("ListGroups", pb.ListGroupsRequest()).groups)
    if arguments.output:
        emit([data(group) for group in groups], arguments.output)
        return
    rows = [
        (group.name, "yes" if group.in_policy else "no", *map(str, (group.members, group.by_policy, group.by_provider)))
        for group in groups
    ]
    table(
        ("Group", "Listed in policy", "Members", "By policy", "By provider"), rows,
        empty="no groups; the policy defines them in its section groups, and sign-in providers send their own",
    )  # fmt: skip


def _show(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import user_pb2 as pb

    with Remote(arguments) as remote:
        found = remote.people().call("GetGroup", pb.GetGroupRequest(name=arguments.name))
    if arguments.output:
        emit(data(found), arguments.output)
        return
    rows = []
    for member in found.members:
        how = member.membership
        counts = "yes" if how.counts else "no"
        rows.append((member.user, member.email or "-", how.source, how.issuer or "-", when(how.since), counts))
    table(("User", "E-mail", "Source", "Issuer", "Since", "Counts"), rows, empty="the group has no members")
