"""`headscale auth`: devices that asked to be let in and wait for a person."""

from __future__ import annotations

import argparse
from typing import Any

from cli.naming import add_user
from cli.node_changes import show
from cli.output import data, emit, table, when
from cli.parser import Noun
from cli.remote import Remote

_EXAMPLE = "hskey-authreq-0123456789abcdef01234567"


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "auth", "Logins that wait for an administrator")
    noun.verb("list", _list, "List logins that nobody has decided", ("ls", "show"))
    register = noun.verb(
        "register", _register, "Let the device of a login in, for a user", (),
        f"headscale auth register --auth-id {_EXAMPLE} --user alice",
    )  # fmt: skip
    add_user(register, "owner", required=True)
    approve = noun.verb(
        "approve", _approve, "Say yes to what waits for it", (), f"headscale auth approve --auth-id {_EXAMPLE}"
    )
    reject = noun.verb("reject", _reject, "Refuse a login", (), f"headscale auth reject --auth-id {_EXAMPLE}")
    for parser in (register, approve, reject):
        parser.add_argument("--auth-id", required=True, metavar="AUTH_ID", help="from: headscale auth list")


def _list(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import pending_login_pb2 as pb

    with Remote(arguments) as remote:
        logins = remote.logins().call("ListPendingLogins", pb.ListPendingLoginsRequest()).logins
    if arguments.output:
        emit([data(login) for login in logins], arguments.output)
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
    )  # fmt: skip


def _register(arguments: argparse.Namespace) -> None:
    from headscale.v1 import auth_pb2

    with Remote(arguments) as remote:
        user = remote.user(arguments.user)
        answer = remote.call("AuthRegister", auth_pb2.AuthRegisterRequest(user=user.name, auth_id=arguments.auth_id))
    show(arguments, answer.node, f"node {answer.node.given_name} registered")


def _approve(arguments: argparse.Namespace) -> None:
    from headscale.v1 import auth_pb2

    with Remote(arguments) as remote:
        remote.call("AuthApprove", auth_pb2.AuthApproveRequest(auth_id=arguments.auth_id))
    _done(arguments, "approved")


def _reject(arguments: argparse.Namespace) -> None:
    from headscale.v1 import auth_pb2

    with Remote(arguments) as remote:
        remote.call("AuthReject", auth_pb2.AuthRejectRequest(auth_id=arguments.auth_id))
    _done(arguments, "refused")


def _done(arguments: argparse.Namespace, word: str) -> None:
    if arguments.output:
        emit({"authId": arguments.auth_id}, arguments.output)
    else:
        print(f"{arguments.auth_id} {word}")
