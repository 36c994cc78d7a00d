"""`headscale users`: creates, deletes and renames users and gives them roles; `people` and `rights` do the rest."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.output import modern, print_result, show_warnings
from cli.frame.parser import Noun
from cli.frame.values import confirm, positive
from cli.link.remote import Remote
from cli.users import people, rights
from cli.users.listing import list_users


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "users", "People in the tailnet", ("user", "namespace", "namespaces", "ns"))
    create = noun.verb(
        "create", _create, "Create a user", ("c", "new"), "headscale users create alice -e alice@example.com"
    )
    create.add_argument("name", metavar="NAME", help="a name, or an e-mail address")
    create.add_argument("-d", "--display-name", default="", help="name shown to people")
    create.add_argument("-e", "--email", default="", help="e-mail address")
    create.add_argument("-p", "--picture-url", default="", help="picture, as an http(s) URL")
    listing = noun.verb("list", list_users, "List users", ("ls",), "headscale users list -o json")
    listing.add_argument("who", nargs="?", default="", help="id, name or e-mail: show only this user")
    _which(listing, required=False)
    destroy = noun.verb(
        "destroy", _destroy, "Delete a user that has no nodes", ("delete",), "headscale users destroy -n alice"
    )
    destroy.add_argument("who", nargs="?", default="", help="id, name or e-mail")
    _which(destroy)
    rename = noun.verb("rename", _rename, "Give a user another name", ("mv",), "headscale users rename -n alice -r bob")
    rename.add_argument("names", nargs="*", metavar="OLD NEW", help="old and new name, as until Headscale 0.23")
    _which(rename)
    rename.add_argument("-r", "--new-name", default="", help="new name")
    role = noun.verb("role", _role, "Give a user another role", (), "headscale users role alice admin")
    role.add_argument("who", metavar="USER", help="id, name or e-mail")
    role.add_argument(
        "role", metavar="ROLE", help="owner, admin, network-admin, it-admin, billing-admin, auditor or member"
    )
    rights.add_to(noun)
    people.add_to(noun)


def _which(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument("-i", "--identifier", "--id", type=positive, default=0, metavar="ID", help="user id")
    parser.add_argument("-n", "--name", dest="by_name", metavar="NAME", default="", help="user name")
    if not required:
        parser.add_argument("-e", "--email", default="", help="e-mail address")


def _name_of(arguments: argparse.Namespace, who: str) -> str:
    text = str(arguments.identifier or "") or arguments.by_name or who
    if not text:
        raise CommandError("which user?", "add --identifier ID or --name NAME", status=2)
    return str(text)


def _create(arguments: argparse.Namespace) -> None:
    from headscale.v1 import user_pb2

    with Remote(arguments) as remote:
        answer = remote.call(
            "CreateUser",
            user_pb2.CreateUserRequest(
                name=arguments.name,
                display_name=arguments.display_name,
                email=arguments.email,
                picture_url=arguments.picture_url,
            ),
        )
    print_result(arguments, answer.user, f"user {answer.user.name} created with id {answer.user.id}")


def _destroy(arguments: argparse.Namespace) -> None:
    from headscale.v1 import user_pb2

    with Remote(arguments) as remote:
        user = remote.user(_name_of(arguments, arguments.who))
        confirm(f"delete user {user.name} (id {user.id}) and their pre-auth keys?", arguments.force)
        answer = remote.call("DeleteUser", user_pb2.DeleteUserRequest(id=user.id))
        lost = _lost_names(remote, user.name, user.email)
    print_result(arguments, user if modern() else answer, f"user {user.name} deleted")
    show_warnings(lost)


def _rename(arguments: argparse.Namespace) -> None:
    from headscale.v1 import user_pb2

    old, new = [*arguments.names, "", ""][:2]
    new = arguments.new_name or new or (old if arguments.identifier or arguments.by_name else "")
    if not new:
        raise CommandError("which new name?", "add --new-name NAME", status=2)
    with Remote(arguments) as remote:
        user = remote.user(_name_of(arguments, old))
        answer = remote.call("RenameUser", user_pb2.RenameUserRequest(old_id=user.id, new_name=new))
        lost = _lost_names(remote, user.name)
    print_result(arguments, answer.user, f"user {user.name} is now {answer.user.name}")
    show_warnings(lost)


def _lost_names(remote: Remote, *names: str) -> list[str]:
    """Return the warnings of the policy in force about names that matched a user until now."""
    from smartscale.admin.v1 import policy_pb2 as pb

    policies = remote.policies()
    try:
        text = policies.call("GetPolicy", pb.GetPolicyRequest()).version.text
        if not any(name and name.casefold() in text.casefold() for name in names):
            return []
        warnings = policies.call("CheckPolicy", pb.CheckPolicyRequest(text=text)).warnings
    except CommandError:
        return []  # no policy names no user; `policy check` reports a policy that cannot be read
    quoted = {f'"{name}{end}"'.casefold() for name in names for end in ("", "@")}
    return [f"in the policy {one}" for one in warnings if one.partition(" ")[0].casefold() in quoted]


def _role(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import user_pb2 as pb

    with Remote(arguments) as remote:
        user = remote.user(arguments.who)
        request = pb.SetRoleRequest(user=user.name, role=arguments.role)
        changed = remote.people().call("SetRole", request).user
    print_result(arguments, changed, f"user {changed.name} is now {changed.role}")
