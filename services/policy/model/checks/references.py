"""Refuses policies with ambiguous user references: a name that several users of the tailnet have."""

from __future__ import annotations

from collections.abc import Iterator

from services.policy.model.text.problems import PolicyError, Problem
from services.shared.access.compiled import AliasKind, CompiledPolicy
from services.shared.access.directory import Directory
from services.shared.access.inputs import AccessUser

_LEAD = "validating policy user references:"
_MAX_REPORTED = 100


def check_users(policy: CompiledPolicy, users: tuple[AccessUser, ...]) -> None:
    """Refuse a policy with a name that fits several users. Raises: `PolicyError`."""
    directory = Directory(policy, users, ())
    problems = []
    for token in sorted({*_tokens(policy)}):
        found = directory.candidates(token)
        if len(found) > 1:
            shown = ", ".join(f"{user.name} (id {user.id})" for user in found[:10])
            problems.append(Problem(f'{_LEAD} multiple users found: token "{token}" found: {shown}'))
    if problems:
        raise PolicyError(problems[:_MAX_REPORTED])


def _tokens(policy: CompiledPolicy) -> Iterator[str]:
    for group in policy.groups:
        yield from group.members
    for alias in policy.aliases():
        if alias.kind is AliasKind.USER:
            yield alias.name
