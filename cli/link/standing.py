"""Reads roles and suspensions of users (`smartscale.admin.v1`), which lists show beside Headscale's data."""

from __future__ import annotations

from typing import Any

from cli.frame.errors import CommandError
from cli.link.remote import Remote


def all_people(remote: Remote) -> dict[int, Any]:
    """Return every user's own record by id; nothing from a server without `smartscale.admin.v1`, such as Headscale."""
    from smartscale.admin.v1 import user_pb2 as pb

    try:
        return {user.id: user for user in remote.people().call("ListUsers", pb.ListUsersRequest()).users}
    except CommandError:
        return {}


def suspended_users(remote: Remote) -> set[int]:
    """Return the ids of suspended users."""
    return {number for number, user in all_people(remote).items() if user.suspended}
