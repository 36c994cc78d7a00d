"""SSH policies the slow way: see `slow`."""

from __future__ import annotations

from typing import Any

from tests.unit.access.slow import Names, Node

_LOCAL = "localpart:*@"
_ACCEPT = {"accept": True} | {f"allow{one}Forwarding": True for one in ("Agent", "LocalPort", "RemotePort")}
_HOLD = "/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER"


def ssh_of(names: Names, node: Node) -> list[Any]:
    """The rules that one node is sent, principals sorted."""
    checks: list[Any] = []
    accepts: list[Any] = []
    for rule in names.document.get("ssh") or []:
        action = {"holdAndDelegate": f"https://unused{_HOLD}"} if rule["action"] == "check" else _ACCEPT
        for addresses, users in _compiled(names, rule, node):
            made = [sorted(addresses), users, action, rule.get("acceptEnv") or None]
            (checks if rule["action"] == "check" else accepts).append(made)
    return checks + accepts


def _compiled(names: Names, rule: dict[str, Any], node: Node) -> list[tuple[list[str], dict[str, str]]]:
    sources = list(dict.fromkeys(one for name in rule["src"] for one in names.selected(name) or []))
    owners = sorted({one.user for one in sources if one.user}, key=lambda user: int(names.users[user]["id"]))
    tagged = [address for one in sources for _ in one.tags for address in one.addresses]
    domains = [user.removeprefix(_LOCAL) for user in rule["users"] if user.startswith(_LOCAL)]

    def devices(user: str) -> list[str]:
        return [address for one in sources if one.user == user for address in one.addresses]

    def for_user(user: str) -> list[tuple[list[str], dict[str, str]]]:
        local, _, domain = names.users[user]["email"].rpartition("@")
        named = [(devices(user), {local: local})] if local and domain in domains else []
        return [(devices(user), _users(rule)), *named]

    others = [name for name in rule["dst"] if name != "autogroup:self"]
    made = []
    if len(others) < len(rule["dst"]) and node.user in owners:
        made += for_user(node.user)
    if any(node in (names.selected(name) or []) for name in others):
        if not domains and sources:
            made.append(([address for user in owners for address in devices(user)] + tagged, _users(rule)))
        elif domains:
            made += [one for user in owners for one in for_user(user)]
            made += [(tagged, _users(rule))] if tagged else []
    elif domains and others and node in sources:
        made += for_user(node.user) if node.user else [(node.addresses, _users(rule))]
    return made


def _users(rule: dict[str, Any]) -> dict[str, str]:
    users = {user: user for user in rule["users"] if not user.startswith(_LOCAL) and user != "autogroup:nonroot"}
    users.setdefault("root", "")
    return users | ({"*": "="} if "autogroup:nonroot" in rule["users"] else {})
