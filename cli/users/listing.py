"""`headscale users list`, and `users show` without a user: every user, with role and status."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.output import data, emit, modern, table, when
from cli.link.remote import Remote
from cli.link.standing import all_people


def list_users(arguments: argparse.Namespace) -> None:
    """List users, or those that the options name."""
    from headscale.v1 import user_pb2

    with Remote(arguments) as remote:
        if arguments.who:
            users = [remote.user(arguments.who)]
        else:
            request = user_pb2.ListUsersRequest(id=arguments.identifier, name=arguments.by_name, email=arguments.email)
            users = list(remote.call("ListUsers", request).users)
        people = all_people(remote) if modern() or not arguments.output else {}
    if arguments.output:
        emit([{**data(user), **_own(people.get(user.id))} for user in users], arguments.output)
        return
    filtered = arguments.who or arguments.identifier or arguments.by_name or arguments.email
    table(
        ("ID", "Name", "Display name", "E-mail", "Role", "Status", "Created"),
        [_row(user, people.get(user.id)) for user in users],
        spare=("Created", "Role", "Display name"),
        empty="no such user; see: headscale users list"
        if filtered
        else "no users yet; create one: headscale users create NAME",
    )


def _row(user: Any, known: Any) -> tuple[str, ...]:
    role, status = ("-", "-") if known is None else (known.role, "suspended" if known.suspended else "active")
    return str(user.id), user.name, user.display_name, user.email, role, status, when(user.created_at)


def _own(known: Any) -> dict[str, Any]:
    """Return the members that Headscale's user lacks; none where the server does not know them."""
    return {} if known is None else {"role": known.role, "suspended": known.suspended}
