"""What the evaluator says beside filters and visibility: elections, approvals, ownership, checks, postures, sharing."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from services.policy.model.compiler import ProviderGroups, compile_policy
from services.policy.model.sections.postures import parse_assertion
from services.shared.access.compiled import ALLOW_ALL, DENY_ALL, Alias, AliasKind, CompiledPolicy, Posture
from services.shared.access.directory import Directory
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode, AccessUser
from services.shared.access.posture import compare_versions, device_attributes, meets

ADA = AccessUser(1, "ada", "ada@example.com", role="owner")
BOB = AccessUser(2, "bob", "bob@example.com")
TAGS = '"tagOwners": {"tag:a": ["ada@"], "tag:b": ["tag:a"], "tag:c": ["tag:c"], "tag:d": []}'


def node(number: int, *tags: str, **more: object) -> AccessNode:
    made = AccessNode(
        number, 0 if tags else 1, tags, f"100.64.0.{number}", f"fd7a:115c:a1e0::{number:x}", created=number
    )
    return replace(made, **more)  # type: ignore[arg-type]


def router(number: int, *routes: str, online: bool = True) -> AccessNode:
    return node(number, "tag:a", advertised_routes=routes, approved_routes=routes, online=online)


def access(text: str, *nodes: AccessNode) -> Access:
    return Access(compile_policy(text).policy, [ADA, BOB], nodes)


def test_the_oldest_router_that_is_online_is_primary() -> None:
    routers = [router(3, "10.1.0.0/16"), router(2, "10.1.0.0/16", online=False), router(4, "10.1.0.0/16")]
    found = Access(ALLOW_ALL, [ADA], [node(1), *routers])
    assert [found.primary_routes(1, peer) for peer in (2, 3, 4)] == [(), ("10.1.0.0/16",), ()]
    assert found.self_routes(2) == ("10.1.0.0/16",)
    assert found.self_primary_routes(2) == ()
    all_off = [replace(one, online=False) for one in routers]
    assert Access(ALLOW_ALL, [ADA], [node(1), *all_off]).primary_routes(1, 2) == ("10.1.0.0/16",)


def test_approving_one_exit_route_approves_both_that_are_advertised() -> None:
    both = ("0.0.0.0/0", "::/0")
    found = Access(ALLOW_ALL, [ADA], [node(1), node(2, "tag:a", advertised_routes=both, approved_routes=both[:1])])
    assert found.allowed_routes(1, 2) == both


def test_random_ports_are_asked_of_each_node_where_the_configuration_says_so() -> None:
    for wanted in (True, False):
        found = Access(ALLOW_ALL, [ADA], [node(1)], random_ports=wanted)
        assert ("randomize-client-port" in found.self_caps(1)) is wanted


def test_a_default_tailnet_is_one_class_with_one_filter() -> None:
    found = Access(ALLOW_ALL, [ADA, BOB], [node(number) for number in range(1, 50)])
    assert len(found.classes()) == 1
    assert len({found.filter_key(number) for number in range(1, 50)}) == 1
    assert found.peers_of(7) == [number for number in range(1, 50) if number != 7]


def test_an_exit_prefix_among_routes_never_approves_exit_routes() -> None:
    text = '{"autoApprovers": {"routes": {"0.0.0.0/0": ["tag:a"]}}, ' + TAGS + "}"
    one = node(1, "tag:a", advertised_routes=("10.0.0.0/8", "0.0.0.0/0", "fd00::/8"))
    assert access(text, one).auto_approved(1) == ("10.0.0.0/8",)


def test_a_tag_is_owned_through_other_tags_but_not_through_itself() -> None:
    found = access("{" + TAGS + "}")
    assert found.may_own_tag(1, "tag:a")
    assert found.may_own_tag(1, "tag:b")
    assert not found.may_own_tag(2, "tag:b")
    assert not found.may_own_tag(2, "tag:c")
    assert not found.may_own_tag(1, "tag:unknown")
    assert found.may_own_tag(1, "tag:d")  # an empty list leaves the tag to administrators
    assert not found.may_own_tag(2, "tag:d")
    assert found.tag_exists("tag:d")


def test_a_check_holds_as_long_as_the_first_rule_for_the_pair_says() -> None:
    text = (
        '{"ssh": [{"action": "check", "src": ["ada@"], "dst": ["tag:a"], "users": ["root"], "checkPeriod": "20m"},'
        '{"action": "check", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["root"]},'
        '{"action": "accept", "src": ["bob@"], "dst": ["tag:a"], "users": ["root"]}], ' + TAGS + "}"
    )
    found = access(text, node(1), node(2, "tag:a"), node(3), node(4, user_id=2))
    assert _period(found, 1, 2) == (1200, False)
    assert _period(found, 1, 3) == (12 * 3600, True)
    assert found.ssh_check(4, 2, "root") is None
    assert found.ssh_check(4, 1, "root") is None


def test_nodes_that_are_not_there_need_no_check() -> None:
    text = '{"ssh": [{"action": "check", "src": ["ada@"], "dst": ["tag:a"], "users": ["root"]}], ' + TAGS + "}"
    found = access(text, node(1), node(2, "tag:a"))
    assert found.ssh_check(1, 2, "root") is not None
    assert [found.ssh_check(*pair, "root") for pair in ((1, 99), (99, 2), (0, 0), (-1, 2), (2**63, 2))] == [None] * 5


def test_the_rule_that_lets_the_local_user_in_decides_how_long_a_check_holds() -> None:
    rules = [
        ("ada@", "root", "always"),
        ("ada@", "autogroup:nonroot", "1h"),
        ("autogroup:member", "localpart:*@example.com", "2h"),
        ("autogroup:member", "backup", "30m"),
    ]
    text = ",".join(
        f'{{"action": "check", "src": ["{source}"], "dst": ["tag:a"], "users": ["{user}"], "checkPeriod": "{period}"}}'
        for source, user, period in rules
    )
    found = access('{"ssh": [' + text + "], " + TAGS + "}", node(1), node(2, "tag:a"), node(4, user_id=2))
    assert _period(found, 1, 2, "root") == (0, False)
    assert _period(found, 1, 2, "ubuntu") == (3600, False)
    assert _period(found, 4, 2, "bob") == (7200, False)
    assert _period(found, 4, 2, "backup") == (1800, False)


def test_a_local_user_of_no_rule_has_the_shortest_period_of_the_pair() -> None:
    text = (
        '{"ssh": [{"action": "check", "src": ["ada@"], "dst": ["tag:a"], "users": ["root"]},'
        '{"action": "check", "src": ["ada@"], "dst": ["tag:a"], "users": ["ubuntu"], "checkPeriod": "5m"},'
        '{"action": "check", "src": ["bob@"], "dst": ["tag:a"], "users": ["ubuntu"], "checkPeriod": "1m"}], '
        + TAGS
        + "}"
    )
    found = access(text, node(1), node(2, "tag:a"), node(4, user_id=2))
    assert _period(found, 1, 2, "CORP\\ada") == (300, False)
    assert _period(found, 1, 2, "") == (300, False)


def test_what_a_checked_session_may_do_is_what_an_accepted_one_may_do() -> None:
    ssh = '"src": ["ada@"], "dst": ["tag:a"], "users": ["root"], "recorder": ["tag:b"], "enforceRecorder": true'
    text = '{"ssh": [{"action": "%s", ' + ssh + "}], " + TAGS + "}"
    nodes = (node(1), node(2, "tag:a"), node(3, "tag:b"))
    check = access(text.replace("%s", "check"), *nodes).ssh_check(1, 2, "root")
    policy = access(text.replace("%s", "accept"), *nodes).ssh_policy(2)
    assert check is not None and policy is not None
    assert check.action == policy["rules"][0]["action"]
    assert check.action["recorders"] == ["100.64.0.3:80", "[fd7a:115c:a1e0::3]:80"]


def _period(found: Access, source: int, destination: int, user: str = "root") -> tuple[int, bool]:
    check = found.ssh_check(source, destination, user)
    assert check is not None
    return check.period, check.everywhere


def test_a_name_that_two_users_answer_to_names_nobody_but_the_one_with_that_email() -> None:
    text = '{"acls": [{"action": "accept", "src": ["ada@example.com", "bob@"], "dst": ["*:*"]}]}'
    policy = compile_policy(text).policy
    imposter = AccessUser(3, "ada@example.com", "mallory@example.com")
    twin = AccessUser(4, "bob", "other@example.com")
    nodes = [node(number, user_id=number) for number in (1, 2, 3, 4)]
    found = Access(policy, [ADA, BOB, imposter, twin], nodes)
    assert found.packet_filter(4)[0]["SrcIPs"] == ["100.64.0.1", "fd7a:115c:a1e0::1"]


def test_groups_of_the_provider_fill_groups_that_name_its_domain() -> None:
    text = '{"acls": [{"action": "accept", "src": ["group:eng@example.com"], "dst": ["*:*"]}]}'
    member = replace(BOB, groups=frozenset({"eng"}))
    found = Access(compile_policy(text).policy, [ADA, member], [node(1), node(2, user_id=2)])
    assert found.packet_filter(1)[0]["SrcIPs"] == ["100.64.0.2", "fd7a:115c:a1e0::2"]


def test_a_group_has_the_members_of_the_policy_and_those_of_the_provider() -> None:
    text = f'{{"groups": {{"group:eng": ["{ADA.email}"]}},'
    text += ' "acls": [{"action": "accept", "src": ["group:eng"], "dst": ["*:*"]}]}'
    member = replace(BOB, groups=frozenset({"eng"}))
    found = Access(compile_policy(text).policy, [ADA, member], [node(1), node(2, user_id=2)])
    both = ["100.64.0.1-100.64.0.2", "fd7a:115c:a1e0::1-fd7a:115c:a1e0::2"]
    assert found.packet_filter(1)[0]["SrcIPs"] == both


def test_what_is_no_address_grants_nothing() -> None:
    broken = AccessNode(2, 1, (), "not an address", "", ("nor a route",), ("nor a route",))
    found = Access(ALLOW_ALL, [ADA], [node(1), broken])
    assert found.peers_of(1) == []
    assert found.auto_approved(2) == ()


def test_a_compiled_policy_of_another_format_is_refused() -> None:
    data = DENY_ALL.to_bytes().replace(b'"format":2', b'"format":99')
    for bad in (data, b"", b"{}x", b'{"grants": 7}', b"\xff"):
        with pytest.raises(ValueError, match=r"."):
            CompiledPolicy.from_bytes(bad)


def test_a_compiled_policy_of_the_first_format_is_read() -> None:
    first = msgspec.json.encode({**msgspec.to_builtins(ALLOW_ALL), "format": 1})
    assert CompiledPolicy.from_bytes(first) == ALLOW_ALL


def test_ends_that_a_compiled_policy_does_not_have_are_refused() -> None:
    data = ALLOW_ALL.to_bytes().replace(b'"source":0', b'"source":7')
    with pytest.raises(ValueError, match="names an end"):
        CompiledPolicy.from_bytes(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node:os == 'linux'", True),
        ("node:os != 'linux'", False),
        ("node:os IN ['macos', 'linux']", True),
        ("node:os NOT IN ['macos']", True),
        ("node:tsVersion >= '1.90'", True),
        ("node:tsVersion < '1.100.1'", True),
        ("node:tsReleaseTrack == 'stable'", True),
        ("node:tsAutoUpdate", False),
        ("node:tsStateEncrypted == true", True),
        ("custom:level > 3", False),
        ("custom:level != 3", False),
        ("custom:level NOT SET", True),
        ("node:os IS SET", True),
    ],
)
def test_assertions_over_what_a_client_says_of_itself(text: str, expected: bool) -> None:
    assertion = parse_assertion(text)
    assert assertion is not None
    attributes = device_attributes(
        os="Linux", os_version="6.1", client_version="1.90.9-t1234", auto_update=False, encrypted=True
    )
    assert meets(Posture("posture:x", (assertion,)), dict(attributes)) is expected


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [("12", "12.0", -1), ("1.9", "1.10", -1), ("1.90.9", "1.90.9", 0), ("10a", "10b", -1), ("2", "1.9", 1)],
)
def test_versions_compare_field_by_field(left: str, right: str, order: int) -> None:
    assert compare_versions(left, right) == order
    assert compare_versions(right, left) == -order


@pytest.mark.parametrize(
    ("on_conflict", "text", "members"),
    [
        ("merge", '{"groups": {"group:x": ["ada@example.com"]}}', {1, 2}),
        ("static", '{"groups": {"group:x": ["ada@example.com"]}}', {1}),
        ("static", '{"groups": {"group:x": []}}', set()),
        ("static", "{}", {2}),
        ("idp", '{"groups": {"group:x": ["ada@example.com"]}}', {2}),
        ("idp", '{"groups": {"group:y": ["ada@example.com"]}}', {2}),
    ],
)
def test_who_is_in_a_group_that_the_policy_lists_and_the_provider_names(
    on_conflict: str, text: str, members: set[int]
) -> None:
    policy = compile_policy(text, provider=ProviderGroups(on_conflict)).policy
    theirs = replace(BOB, groups=frozenset({"x"}))
    directory = Directory(policy, [ADA, theirs], [])
    assert directory.users_of(Alias(AliasKind.GROUP, "group:x")) == members
    if on_conflict == "idp":  # nobody is in it by the provider's word: the policy's list is all there is
        alone = Directory(policy, [ADA, BOB], [])
        assert alone.users_of(Alias(AliasKind.GROUP, "group:y")) == ({1} if "group:y" in text else set())
