"""`headscale auth`: lists pending logins and SSH sessions, approves and rejects them."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.naming import add_user
from cli.frame.output import data, emit, modern, print_result, table, when
from cli.frame.parser import Noun
from cli.link.remote import Remote, login_server

_EXAMPLE = "hskey-authreq-0123456789abcdef01234567"


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "auth", "Pending logins and SSH sessions")
    noun.verb("list", _list, "List pending logins and SSH sessions", ("ls", "show"))
    register = noun.verb(
        "register", _register, "Approve a pending login: its device joins as a node of a user", (),
        f"headscale auth register --auth-id {_EXAMPLE} --user alice",
    )  # fmt: skip
    add_user(register, "owner", required=True)
    approve = noun.verb(
        "approve", _approve, "Approve a pending SSH session", (), f"headscale auth approve --auth-id {_EXAMPLE}"
    )
    reject = noun.verb(
        "reject", _reject, "Reject a pending login or SSH session", (), f"headscale auth reject --auth-id {_EXAMPLE}"
    )
    for parser in (register, approve, reject):
        parser.add_argument("--auth-id", required=True, metavar="AUTH_ID", help="from: headscale auth list")


def _list(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import pending_login_pb2 as pb

    with Remote(arguments) as remote:
        answer = remote.logins().call("ListPendingLogins", pb.ListPendingLoginsRequest())
    logins, sessions = answer.logins, answer.ssh_sessions
    if arguments.output:
        emit([data(one) for one in (*logins, *sessions)], arguments.output)
        return
    table(
        ("Auth id", "Hostname", "System", "From", "Since", "Until"),
        [
            (
                login.auth_id, login.hostname, login.os or "-", login.remote_address or "-",
                when(login.created_at), when(login.expires_at),
            )
            for login in logins
        ],
        spare=("Since", "System", "From"),
        empty="" if logins or sessions else _next_step(arguments),
    )  # fmt: skip
    if sessions:
        print()
        table(
            ("Auth id", "SSH from", "Owner", "To", "As", "Since", "Until"),
            [
                (
                    session.auth_id, session.source, session.user, session.destination, session.local_user,
                    when(session.created_at), when(session.expires_at),
                )
                for session in sessions
            ],
            spare=("Since", "Owner"),
        )  # fmt: skip


def _next_step(arguments: argparse.Namespace) -> str:
    return f"nothing waits; a device waits here after: tailscale up --login-server {login_server(arguments)}"


def _register(arguments: argparse.Namespace) -> None:
    from headscale.v1 import auth_pb2

    with Remote(arguments) as remote:
        user = remote.user(arguments.user)
        answer = remote.call("AuthRegister", auth_pb2.AuthRegisterRequest(user=user.name, auth_id=arguments.auth_id))
    print_result(arguments, answer.node, f"node {answer.node.given_name} registered")


def _approve(arguments: argparse.Namespace) -> None:
    from headscale.v1 import auth_pb2

    with Remote(arguments) as remote:
        answer = remote.call("AuthApprove", auth_pb2.AuthApproveRequest(auth_id=arguments.auth_id))
    _done(arguments, answer, "approved")


def _reject(arguments: argparse.Namespace) -> None:
    from headscale.v1 import auth_pb2

    with Remote(arguments) as remote:
        answer = remote.call("AuthReject", auth_pb2.AuthRejectRequest(auth_id=arguments.auth_id))
    _done(arguments, answer, "rejected")


def _done(arguments: argparse.Namespace, answer: Any, word: str) -> None:
    if arguments.output:
        emit({"authId": arguments.auth_id} if modern() else data(answer), arguments.output)
    else:
        print(f"{arguments.auth_id} {word}")
