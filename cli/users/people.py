"""`headscale users show`, `link`, `unlink` and `relink`: one user in full, and the identities that belong to users."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.output import data, emit, print_result, table, when
from cli.frame.parser import Noun
from cli.frame.values import confirm, positive
from cli.link.remote import Remote
from cli.users.listing import list_users

Rows = list[tuple[str, ...]]


def add_to(noun: Noun) -> None:
    """Add the verbs to `users`."""
    show = noun.verb(
        "show",
        _show,
        "Show a user: identities, groups with their sources, nodes, and whether they may sign in",
        (),
        "headscale users show alice@example.com -o json",
    )
    show.add_argument("who", nargs="?", default="", metavar="USER", help="id, name or e-mail; none: list users")
    show.add_argument("-i", "--identifier", "--id", type=positive, default=0, metavar="ID", help="as of users list")
    show.add_argument("-n", "--name", dest="by_name", metavar="NAME", default="", help="as of users list")
    show.add_argument("-e", "--email", default="", help="as of users list")
    show.add_argument("--history", action="store_true", help="also the changes of each attribute")
    link = noun.verb(
        "link",
        _link,
        "Link an identity at a provider to a user, also before its first sign-in",
        (),
        "headscale users link alice https://idp.example.com 248289761001",
    )
    link.add_argument("who", metavar="USER", help="id, name or e-mail")
    unlink = noun.verb(
        "unlink",
        _unlink,
        "Unlink an identity from its user",
        (),
        "headscale users unlink https://idp.example.com 248289761001",
    )
    for parser in (link, unlink):
        parser.add_argument("issuer", metavar="ISSUER", help="the provider's issuer, from: headscale users show")
        parser.add_argument("subject", metavar="SUBJECT", help="the person's id there (sub)")
    relink = noun.verb(
        "relink",
        _relink,
        "Merge two users: identities and nodes of the first become those of the second",
        (),
        "headscale users relink alice-2 alice",
    )
    relink.add_argument("who", metavar="USER", help="the user to empty: id, name or e-mail")
    relink.add_argument("to", metavar="TO", help="the user to keep: id, name or e-mail")


def _show(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import user_pb2 as pb

    if not arguments.who:  # an alias of `users list` in Headscale
        list_users(arguments)
        return
    with Remote(arguments) as remote:
        found = remote.people().call("ShowUser", pb.ShowUserRequest(user=arguments.who))
    if arguments.output:
        emit(data(found), arguments.output)
        return
    user = found.user
    print(user.name + (f" ({user.display_name})" if user.display_name else ""))
    standing = found.standing
    rows = [
        ("id", str(user.id)),
        ("e-mail", user.email or "-"),
        ("role", user.role),
        ("created", when(user.created_at)),
        ("last login", when(found.last_login, absent="never")),
        ("standing", _standing(user.suspended, standing)),
    ]
    for name, value in rows:
        print(f"  {name:<11} {value}")
    _section("identities", ("Issuer", "Subject", "E-mail", "Last login", "May sign in"), _identities(found))
    groups: Rows = [
        (group.name, group.source, group.issuer or "-", when(group.since), "yes" if group.counts else "no")
        for group in found.groups
    ]
    _section("groups", ("Group", "Source", "Issuer", "Since", "Counts"), groups)
    _section(
        "nodes", ("ID", "Name", "Addresses", "Connected", "Expires", "Signed in"), [_node(node) for node in found.nodes]
    )
    if arguments.history:
        changes: Rows = [
            (when(one.at), one.attribute, one.before or "-", one.after or "-", one.source) for one in found.history
        ]
        _section("history", ("When", "What", "Before", "After", "By"), changes)


def _standing(suspended: bool, last: Any) -> str:
    if not suspended:
        return "active"
    by = f" by {last.actor or last.source}" if last.source else ""
    return f"suspended since {when(last.since)}{by}" + (f": {last.reason}" if last.reason else "")


def _identities(found: Any) -> Rows:
    verdicts = {(verdict.issuer, verdict.subject): verdict for verdict in found.verdicts}
    rows: Rows = []
    for link in found.links:
        verdict = verdicts.get((link.issuer, link.subject))
        word = "?" if verdict is None else "yes" if verdict.may_enter else f"no: {verdict.text} ({verdict.reason})"
        rows.append((link.issuer, link.subject, link.email or "-", when(link.last_login, absent="never"), word))
    return rows


def _node(node: Any) -> tuple[str, ...]:
    seen = "now" if node.online else when(node.last_seen)
    end = "expired" if node.expired else when(node.expiry, absent="never")
    signed_in = f"{when(node.login.started_at)} as {node.login.subject}" if node.HasField("login") else "-"
    return str(node.id), node.given_name, ", ".join(node.addresses), seen, end, signed_in


def _section(title: str, heads: tuple[str, ...], rows: Rows) -> None:
    print(f"\n{title}")
    if rows:
        table(heads, rows)
    else:
        print("  none")


def _link(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import user_pb2 as pb

    request = pb.LinkUserRequest(user=arguments.who, issuer=arguments.issuer, subject=arguments.subject)
    with Remote(arguments) as remote:
        user = remote.people().call("LinkUser", request).user
    print_result(arguments, user, f"{arguments.subject} at {arguments.issuer} is user {user.name}")


def _unlink(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import user_pb2 as pb

    request = pb.UnlinkUserRequest(issuer=arguments.issuer, subject=arguments.subject)
    with Remote(arguments) as remote:
        user = remote.people().call("UnlinkUser", request).user
    print_result(arguments, user, f"{arguments.subject} at {arguments.issuer} is no longer user {user.name}")


def _relink(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import user_pb2 as pb

    confirm(f"give all identities and nodes of user {arguments.who} to {arguments.to}?", arguments.force)
    with Remote(arguments) as remote:
        moved = remote.people().call("RelinkUser", pb.RelinkUserRequest(user=arguments.who, to=arguments.to))
    sentence = f"user {moved.user.name} has {moved.links} more identities and {moved.nodes} more nodes"
    if moved.left:
        sentence += f"; {moved.left} nodes stay, because {moved.user.name} has one on the same machine"
    print_result(arguments, moved, sentence)
