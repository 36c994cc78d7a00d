"""SSH actions (tailcfg `SSHAction`): the instruction for an SSH session that its destination's client is sent."""

from __future__ import annotations

from typing import Any

from services.shared.access.compiled import SshRule
from services.shared.access.directory import Directory

Rule = dict[str, Any]

_PERMITS: Rule = {
    "accept": True,
    "allowAgentForwarding": True,
    "allowLocalPortForwarding": True,
    "allowRemotePortForwarding": True,
}
"""Permissions of an accepted session."""

HOLD_PATH = "/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER"
"""Path that a client requests for a held session; the client fills in the placeholders."""


class SshActions:
    """The actions of the rules of one snapshot."""

    def __init__(self, directory: Directory, server_url: str) -> None:
        self._directory = directory
        self._server_url = server_url.rstrip("/")
        self._recorders: dict[tuple[str, ...], list[str]] = {}

    def first(self, rule: SshRule) -> Rule:
        """Return the action in the policy: accept the session, or hold it and ask the server."""
        if rule.check:
            return {"holdAndDelegate": self._server_url + HOLD_PATH}
        return self.permit(rule)

    def permit(self, rule: SshRule) -> Rule:
        """Return the final action of a session that may begin.

        It repeats the recorders after a check: a client follows several actions, and only the last one counts.
        """
        return _PERMITS | self._recording(rule)

    def _recording(self, rule: SshRule) -> Rule:
        if not rule.recorders:
            return {}
        if rule.recorders not in self._recorders:
            tags = set(rule.recorders)
            nodes = (one for one in self._directory.members.values() if not tags.isdisjoint(one.identity[1]))
            addresses = [address for one in nodes for address in one.addresses]
            self._recorders[rule.recorders] = [f"[{a}]:80" if ":" in a else f"{a}:80" for a in addresses]
        made: Rule = {"recorders": self._recorders[rule.recorders]}
        if rule.enforce_recorder:
            made["onRecordingFailure"] = {
                "RejectSessionWithMessage": "session refused: its recording cannot be started",
                "TerminateSessionWithMessage": "session ended: its recording failed",
            }
        return made
