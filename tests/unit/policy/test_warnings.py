"""What a policy is accepted with, and warned of: each warning has the place where its cause stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.policy.compile import run
from services.policy.model.compiler import compile_policy
from services.policy.model.text.problems import PolicyError
from tests.unit.policy.test_semantics import TOPOLOGY

RULE = {"action": "accept", "src": ["*"], "dst": ["*:22"]}


def lines(*text: str) -> str:
    return "\n".join(text)


def warnings(text: str, topology: dict[str, Any] = TOPOLOGY) -> list[str]:
    answer = run(text, topology)
    assert "errors" not in answer
    return list(answer["warnings"])


def rule(name: str) -> str:
    return lines("{", '"acls": [{"action": "accept",', f'"src": ["{name}"],', '"dst": ["*:22"]}]}')


def ssh(name: str) -> str:
    return lines(
        "{", '"ssh": [{"action": "accept",', f'"src": ["{name}"],', '"dst": ["tag:dev"], "users": ["root"]}],', DEV
    )


def member(name: str) -> str:
    return lines("{", '"groups": {', f'"group:g": ["{name}"]', "}}")


DEV = '"tagOwners": {"tag:dev": []}}'
CAUSES = {
    "autogroup:members in acls": rule("autogroup:members"),
    "autogroup:members in ssh": ssh("autogroup:members"),
    "a bare user in acls": rule("ada"),
    "a bare user in tagOwners": lines("{", '"tagOwners": {', '"tag:new": ["ada"]', "}}"),
    "a bare user in a group": member("ada"),
    "nobody in acls": rule("eve@example.com"),
    "nobody in ssh": ssh("eve@example.com"),
    "nobody in a group": member("eve@example.com"),
    "nobody in autoApprovers": lines("{", '"autoApprovers": {', '"exitNode": ["eve@example.com"]', "}}"),
    "nobody's domain": rule("user:*@example.org"),
}


@pytest.mark.parametrize("text", CAUSES.values(), ids=CAUSES)
def test_a_warning_names_the_line_of_its_cause(text: str) -> None:
    found = warnings(text)
    assert len(found) == 1
    assert "(line 3, column " in found[0]


@pytest.mark.parametrize("email", ["Ada@Example.com", "ADA@EXAMPLE.COM"])
@pytest.mark.parametrize("token", ["ada@example.com", "Ada@Example.Com"])
def test_upper_and_lower_case_of_an_email_do_not_matter(email: str, token: str) -> None:
    users = [{**user, "email": email} if user["name"] == "ada" else user for user in TOPOLOGY["users"]]
    text = json.dumps({"acls": [RULE | {"src": [token]}], "groups": {"group:g": [token]}})
    assert warnings(text, TOPOLOGY | {"users": users}) == []


def test_two_users_whose_emails_differ_in_case_are_not_taken_for_each_other() -> None:
    twins = [{"id": 1, "name": "one", "email": "Ada@example.com"}, {"id": 2, "name": "two", "email": "aDa@example.com"}]
    topology = {"users": twins, "nodes": {}}
    answer = run(json.dumps({"acls": [RULE | {"src": ["ada@example.com"]}]}), topology)
    assert "multiple users found" in answer["errors"][0]
    assert warnings(json.dumps({"acls": [RULE | {"src": ["Ada@example.com"]}]}), topology) == []


def test_only_the_first_names_that_match_nobody_are_listed() -> None:
    found = warnings(json.dumps({"acls": [RULE | {"src": [f"u{number}@example.org" for number in range(100)]}]}))
    assert len(found) == 21
    assert found[-1] == "80 more names match no user"


@pytest.mark.parametrize(
    "tests",
    [
        {"tests": [{"src": "ada@example.com", "accept": ["tag:new:22"]}]},
        {"tests": [{"src": "ada@example.com", "deny": ["tag:new:22"]}]},
        {"tests": [{"src": "tag:new", "accept": ["tag:dev:22"]}]},
        {"sshTests": [{"src": "ada@example.com", "dst": ["tag:new"], "accept": ["root"]}]},
        {"sshTests": [{"src": "tag:new", "dst": ["tag:dev"], "deny": ["root"]}]},
    ],
    ids=str,
)
def test_a_test_of_a_tag_that_no_node_has_yet_is_a_warning(tests: dict[str, Any]) -> None:
    owners = {"tag:new": ["ada@example.com"], "tag:dev": ["ada@example.com"]}
    assert warnings(json.dumps({"tagOwners": owners, "acls": [], **tests})) == [
        'tests that name "tag:new" wait until a node has that tag'
    ]


@pytest.mark.parametrize(
    "text",
    [
        '# rules\n{"acls": []}',
        '\n# one\n  # two\n\n {"acls": []}',
        '{"acls": []}\n# rules',
        '{"acls": [# none\n]}',
        '{# rules\n"acls": []}',
        '{"acls": [] # end\n}',
    ],
)
@pytest.mark.parametrize("name", ["policy.hujson", ""])
def test_a_comment_of_another_language_is_named(text: str, name: str) -> None:
    with pytest.raises(PolicyError, match=r'got "#": comments are // or /\* \*/'):
        compile_policy(text, name=name)


@pytest.mark.parametrize(
    ("item", "same"),
    [("*:443", "443"), ("*:*", "*"), ("*: 443", "443"), ("*:80-90,443", "80-90,443")],
)
def test_a_star_before_the_ports_of_a_grant_is_the_default_protocols(item: str, same: str) -> None:
    def grants(ip: str) -> Any:
        return compile_policy(json.dumps({"grants": [{"src": ["*"], "dst": ["*"], "ip": [ip]}]})).policy.grants

    assert grants(item) == grants(same)
