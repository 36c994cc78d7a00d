"""What a provider's groups are called here, and what people belong to."""

from __future__ import annotations

from typing import Any

import pytest

from services.auth.model.oidc.entry import EntryRules, namespace_for
from services.auth.model.oidc.groups import GroupNames, read_patterns
from services.auth.model.oidc.identity import ProviderIdentity
from services.auth.model.oidc.refusal import RefusalReason, SignInError


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("admins", "x-admins"),
        ("7f1b", "ops"),
        ("/NewYork/HR", "newyork-HR"),
        ("/NewYork/HR/Payroll", "x-/NewYork/HR/Payroll"),
        ("dev@idm.example.com", "dev"),
        ("drop-me", ""),
        ("secret-x", ""),
        ("x-", "x-x-"),
        ("a" * 300, ""),
    ],
)
def test_a_group_gets_its_name_by_the_first_rule_that_fits(theirs: str, ours: str) -> None:
    patterns = {r"/NewYork/([^/]+)": r"newyork-\1", r"(.+)@idm\.example\.com": r"\1", "secret-.*": ""}
    names = GroupNames({"7f1b": "ops", "drop-me": ""}, read_patterns(patterns), "x-")
    assert names.translate([theirs]) == ((ours,) if ours else ())


def test_two_groups_of_theirs_may_be_one_of_ours_and_none_is_a_namespace() -> None:
    names = GroupNames({"a": "x", "b": "x"})
    assert names.translate(["b", "a", "namespace:hr", "y"]) == ("x", "y")


@pytest.mark.parametrize(
    ("claim", "template", "namespace"),
    [
        ("research", "", "research"),
        (["research"], "", "research"),
        (" R &  D ", "", "R & D"),
        (None, "{email_local}", "ann"),
        ("", "{email}", "ann@example.com"),
    ],
)
def test_people_belong_to_what_the_claim_says_else_to_what_the_format_makes(
    claim: Any, template: str, namespace: str
) -> None:
    rules = EntryRules(namespace_claim="department", namespace_format=template)
    assert namespace_for(person(claim), rules) == namespace
    assert namespace_for(person(claim), EntryRules(namespace_format=template)) == ""


@pytest.mark.parametrize(
    ("claim", "template", "reason"),
    [
        (None, "", RefusalReason.NAMESPACE_MISSING),
        (None, "{claim:team}", RefusalReason.NAMESPACE_MISSING),
        (["a", "b"], "{email}", RefusalReason.CLAIM_MALFORMED),
        ({"a": 1}, "{email}", RefusalReason.CLAIM_MALFORMED),
        (7, "{email}", RefusalReason.CLAIM_MALFORMED),
        ("x" * 201, "", RefusalReason.CLAIM_MALFORMED),
        ("a\u202eb", "", RefusalReason.CLAIM_MALFORMED),
    ],
)
def test_who_belongs_to_nothing_that_can_be_named_may_not_enter(
    claim: Any, template: str, reason: RefusalReason
) -> None:
    with pytest.raises(SignInError) as refused:
        namespace_for(person(claim), EntryRules(namespace_claim="department", namespace_format=template))
    assert refused.value.reason is reason


def person(claim: Any) -> ProviderIdentity:
    claims = {} if claim is None else {"department": claim}
    return ProviderIdentity("https://idp", "s", email="ann@example.com", email_verified=True, claims=claims)
