"""Warns of names in a policy that select no user of the tailnet, each with its place. Refuses nothing.

A person may be named before the first sign-in, so this is no error. Often it is a mistake all the same: a misspelt
address, or a renamed user.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.policy.model.compiler import Document
from services.policy.model.sections.names import spell
from services.policy.model.text.problems import Problem
from services.shared.access.compiled import Alias, AliasKind
from services.shared.access.directory import Directory
from services.shared.access.inputs import AccessUser

_MAX_WARNINGS = 20


def unmatched(document: Document, users: Iterable[AccessUser]) -> tuple[Problem, ...]:
    """Return a warning for each user token and login domain of the policy that selects no user, in document order.

    The first 20 are named; one more warning counts the others.
    """
    directory = Directory(document.policy, users, ())
    found = [
        Problem(_message(alias), "", line, column)
        for alias, (line, column) in document.people
        if not directory.users_of(alias)
    ]
    if len(found) <= _MAX_WARNINGS:
        return tuple(found)
    return (*found[:_MAX_WARNINGS], Problem(f"{len(found) - _MAX_WARNINGS} more names match no user"))


def _message(alias: Alias) -> str:
    name = spell(alias)
    if alias.kind is AliasKind.DOMAIN:
        return f'"{name}" matches no user: no user has an address in that domain yet'
    return f'"{name}" matches no user: no user has that name or address yet'
