"""All checks of a policy against a tailnet, in one order for `set`, `check` and `compile`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from services.policy.model.checks.references import check_users
from services.policy.model.checks.testing import run_tests
from services.policy.model.checks.unmatched import unmatched
from services.policy.model.compiler import Document
from services.shared.access.inputs import AccessNode, AccessService, AccessUser


def examine(
    document: Document,
    users: Iterable[AccessUser],
    nodes: Iterable[AccessNode],
    prefixes: Sequence[str] = (),
    services: Iterable[AccessService] = (),
) -> Document:
    """Check names and run the tests of a policy. Returns it with the warnings that only a tailnet can give.

    Raises: `PolicyError` when a name is ambiguous or a test fails.
    """
    people = tuple(users)
    check_users(document.policy, people)
    waiting = run_tests(document, people, nodes, prefixes, services)
    return replace(document, warnings=(*document.warnings, *unmatched(document, people), *waiting))
