"""What a scope grants, and which names there are."""

from __future__ import annotations

import pytest

from services.shared.scopes import NAMES, READ, UnknownScopeError, gives_tags, grants, read_scopes


@pytest.mark.parametrize("scope", sorted(NAMES))
def test_a_scope_grants_itself_and_its_reading_part_alone(scope: str) -> None:
    granted = {wanted for wanted in NAMES if grants([scope], wanted)}
    if scope == "all":
        assert granted == NAMES
    elif scope == "all:read":
        assert granted == {wanted for wanted in NAMES if wanted.endswith(READ)}
    else:
        assert granted == {scope, scope + READ} & NAMES


def test_nothing_grants_nothing() -> None:
    assert not any(grants([], wanted) for wanted in NAMES)


def test_earlier_names_stand_for_todays() -> None:
    assert read_scopes(["acl:read", "devices", "dns", "dns"]) == (
        "auth_keys", "devices:core", "devices:posture_attributes", "dns", "policy_file:read",
    )  # fmt: skip
    assert read_scopes(["logs:read", "network-logs:read"]) == ("logs:configuration:read", "logs:network:read")


@pytest.mark.parametrize("name", ["", "nope", "all:write", "devices:core:read:read", "logs", "ALL", " dns"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UnknownScopeError):
        read_scopes([name])


def test_tags_are_given_with_two_scopes() -> None:
    assert {scope for scope in NAMES if gives_tags([scope])} == {"auth_keys", "devices:core"}
