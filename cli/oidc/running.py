"""Examines the running server: the providers in use, recent failures and notices, and a user."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.output import when
from cli.link.remote import Remote
from services.auth.doctor import DoctorReport, StoredIdentity, examine_identity
from services.shared.config import Config

DESTINATIONS = 20
"""Maximum number of nodes tried as destinations; one reachable node is enough."""


def examine_running(report: DoctorReport, arguments: argparse.Namespace, config: Config) -> bool:
    """Compare the server with the configuration, and add its recent failures. Returns whether a server answered."""
    from smartscale.admin.v1 import server_pb2 as pb

    try:
        with Remote(arguments) as remote:
            health = remote.itself().call("GetSignInHealth", pb.GetSignInHealthRequest())
    except CommandError as error:
        report.skip("running", f"{error}; only the configuration file was examined")
        return False
    known = {one.name: one for one in health.providers}
    report.facts["providers"] = {
        one.label: {"accepted": one.accepted_issuer, "usable": one.usable} for one in known.values()
    }
    wanted = {name: one.issuer for name, one in config.oidc.in_use().items()}
    if {name: one.issuer for name, one in known.items()} != wanted:
        text = "the running server uses other providers than the configuration"
        report.warn("running", text, "it was changed since", "headscale oidc reload, or restart the server")
    for one in known.values():
        if one.usable:
            report.ok("running", f"{one.label} can be used; its redirect URL is {one.redirect_uri}")
        else:
            report.fail("running", f"{one.label} cannot be used: {one.text}", one.reason, "see the checks above")
    _examine_failures(report, health.failures)
    _examine_notices(report, health.notices)
    return True


def _examine_failures(report: DoctorReport, failures: Any) -> None:
    report.facts["failures"] = [{"time": when(one.time), "flow": one.flow_id, "reason": one.reason} for one in failures]
    newest = {one.reason: one for one in reversed(failures)}
    for reason, number in Counter(one.reason for one in failures).most_common():
        one = newest[reason]
        text = f"{number} of the last {len(failures)} failures: {one.text}"
        cause = f"{reason}, last at {when(one.time)}"
        report.warn("failures", text, cause, f"find flow_id {one.flow_id or '-'} in the log")
    if not failures:
        report.ok("failures", "no sign-in failed recently")


def _examine_notices(report: DoctorReport, notices: Any) -> None:
    """Add what the last sign-ins left out of the providers' claims, each kind once."""
    newest = {(one.provider, one.claim, one.text): one for one in reversed(notices)}
    for one in newest.values():
        cause = f"claim {one.claim!r} of {one.provider or 'the default provider'}, last at {when(one.time)}"
        report.warn("claims-unused", one.text, cause, one.remedy)


def examine_user(report: DoctorReport, arguments: argparse.Namespace, config: Config) -> None:
    """Examine why a user cannot connect."""
    from smartscale.admin.v1 import user_pb2 as pb

    with Remote(arguments) as remote:
        everybody = remote.lists.nodes()
        try:
            answer = remote.people().call("ShowUser", pb.ShowUserRequest(user=arguments.user))
        except CommandError as error:
            cause = "the person has not signed in yet, or oidc.auto_create_users is false"
            remedy = "let them sign in, or: headscale users create NAME --email ADDRESS"
            report.fail("user", str(error), cause, remedy)
            return
        user, nodes = answer.user, list(answer.nodes)
        groups = ", ".join(user.groups) or "none"
        report.ok("user", f"{user.name}, {user.email or 'no address'}, role {user.role or 'member'}, groups: {groups}")
        if user.suspended:
            remedy = f"headscale users restore {user.name}"
            report.fail("suspended", f"{user.name} is suspended", "an administrator suspended them", remedy)
        if not answer.links:
            report.skip("entry", "a local user without a sign-in provider: no lists apply")
        for link in answer.links:
            names = tuple(group.name for group in link.groups) if link.groups_known else None
            identity = StoredIdentity(link.issuer, link.subject, link.email, names, when(link.last_login))
            examine_identity(report, identity, config)
        _examine_nodes(report, user, nodes)
        if nodes:
            others = [node.given_name for node in everybody if node.user.id != user.id]
            _examine_policy(report, remote, user, others)


def _examine_nodes(report: DoctorReport, user: Any, nodes: list[Any]) -> None:
    key = f"headscale preauthkeys create --user {user.email or user.name}"
    again = f"on the device: tailscale up --force-reauth; or with a key: {key}"
    if not nodes:
        report.warn("nodes", f"{user.name} has no device", "no login was ever finished", again)
        return
    expired = [node.given_name for node in nodes if node.expired]
    if len(expired) == len(nodes):
        report.fail(
            "nodes", f"the key of every device has expired: {', '.join(expired)}", "they did not sign in again", again
        )
    elif expired:
        report.warn(
            "nodes", f"the key of some devices has expired: {', '.join(expired)}", "no new sign-in there", again
        )
    else:
        online = sum(node.online for node in nodes)
        report.ok("nodes", f"{len(nodes)} with keys that hold, {online} connected")


def _examine_policy(report: DoctorReport, remote: Remote, user: Any, others: list[str]) -> None:
    """Examine whether the policy lets the user's devices connect to anything."""
    from smartscale.admin.v1 import policy_pb2

    if not others:
        report.skip("policy", "there are no devices of others to reach")
        return
    policies = remote.policies()
    for other in others[:DESTINATIONS]:
        request = policy_pb2.ExplainPolicyRequest(source=user.name, destination=other)
        try:
            answer = policies.call("ExplainPolicy", request)
        except CommandError as error:
            report.skip("policy", f"it cannot be asked: {error}")
            return
        if any(one.allowed for one in answer.answers):
            report.ok("policy", f"it lets them reach {other}, for one")
            return
    text = f"it lets them reach none of {min(len(others), DESTINATIONS)} devices of others"
    report.warn("policy", text, "no rule has them as source", "headscale policy get; add them or a group of theirs")
