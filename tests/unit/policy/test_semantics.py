"""Cases of our own, written from the semantics: what a document means for the nodes of a small tailnet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.policy.compile import run
from tests.unit.policy.small_tailnet import (
    ALL,
    APPROVE,
    TAGS,
    TOPOLOGY,
    V6,
    WILDCARD,
    allow,
    compiled,
    filter_of,
    peers_of,
    refused,
)


@pytest.mark.parametrize("text", ["", "\ufeff", "{}", '{"acls": null}', "hosts: {}\n"])
def test_no_rules_at_all_mean_that_everything_is_allowed(text: str) -> None:
    answer = compiled(text)
    assert filter_of(answer, "dev") == [{"SrcIPs": WILDCARD, "DstPorts": [{"IP": "*", "Ports": ALL}]}]
    assert peers_of(answer, "dev") == set(TOPOLOGY["nodes"]) - {"dev"}


@pytest.mark.parametrize("policy", ['{"acls": []}', '{"grants": []}', "acls: []", '{"acls": [], "grants": null}'])
def test_an_empty_list_of_rules_denies_everything(policy: str) -> None:
    answer = compiled(policy)
    assert filter_of(answer, "dev") == []
    assert peers_of(answer, "dev") == set()


def test_a_yaml_policy_means_what_its_lines_say() -> None:
    policy = """
groups:
  group:admins: [ada@example.com]
  group:developers:
    - bob@example.com
acls:
  - action: accept
    src: [group:admins]
    dst: ["*:*"]
  - action: accept
    src: [group:developers]
    dst:
      - tag:dev:*
      - tag:staging:*
tagOwners:
  tag:prod: [group:admins]
  tag:dev: [group:developers]
  tag:staging: [group:developers]
"""
    answer = compiled(policy)
    admins = {"SrcIPs": ["100.64.0.1", "100.64.0.3", V6 + "1", V6 + "3"], "DstPorts": [{"IP": "*", "Ports": ALL}]}
    developers = {
        "SrcIPs": ["100.64.0.5", V6 + "5"],
        "DstPorts": [{"IP": "100.64.0.7", "Ports": ALL}, {"IP": V6 + "7", "Ports": ALL}],
    }
    assert filter_of(answer, "prod") == [admins]
    assert filter_of(answer, "dev") == [admins, developers]
    assert peers_of(answer, "tablet") == {"laptop", "phone", "dev"}
    assert peers_of(answer, "prod") == {"laptop", "phone"}


def test_identity_gives_both_addresses_and_a_literal_only_itself() -> None:
    answer = compiled(allow("100.64.0.5", "tag:dev:22", "100.64.0.9:22"))
    assert filter_of(answer, "dev")[0]["SrcIPs"] == ["100.64.0.5"]
    assert [entry["IP"] for entry in filter_of(answer, "dev")[0]["DstPorts"]] == ["100.64.0.7", V6 + "7"]
    assert [entry["IP"] for entry in filter_of(answer, "prod")[0]["DstPorts"]] == ["100.64.0.9"]


def test_own_devices_reach_each_other_by_self_and_nobody_elses() -> None:
    answer = compiled(allow("autogroup:member", "autogroup:self:*"))
    assert peers_of(answer, "laptop") == {"phone"}
    assert peers_of(answer, "tablet") == set()
    assert filter_of(answer, "dev") == []
    assert filter_of(answer, "phone")[0]["SrcIPs"] == ["100.64.0.1", "100.64.0.3", V6 + "1", V6 + "3"]


def test_a_wildcard_source_names_the_approved_routes_too() -> None:
    answer = compiled(allow("*", "tag:dev:80"))
    assert filter_of(answer, "dev")[0]["SrcIPs"] == ["10.1.0.0/16", *WILDCARD]


def test_routes_are_shown_to_those_who_may_use_them() -> None:
    answer = compiled(allow("ada@example.com", "10.1.2.0/24:443", "tag:exit:*"))
    assert answer["nodes"]["laptop"]["peers"]["router"]["primary_routes"] == ["10.1.0.0/16"]
    assert answer["nodes"]["laptop"]["peers"]["exit"]["allowed_ips"] == ["100.64.0.13/32", V6 + "d/128"]
    assert filter_of(answer, "router")[0]["DstPorts"] == [{"IP": "10.1.2.0/24", "Ports": {"First": 443, "Last": 443}}]
    assert "router" not in answer["nodes"]["tablet"]["peers"]


def test_only_users_of_the_internet_see_exit_routes() -> None:
    answer = compiled(allow("bob@", "autogroup:internet:*"))
    assert answer["nodes"]["tablet"]["peers"]["exit"]["allowed_ips"][2:] == ["0.0.0.0/0", "::/0"]
    assert len(filter_of(answer, "exit")[0]["DstPorts"]) == 7
    assert peers_of(answer, "laptop") == set()


def test_via_steers_a_source_through_tagged_routers_only() -> None:
    topology = json.loads(json.dumps(TOPOLOGY))
    topology["nodes"]["other"] = topology["nodes"]["router"] | {"id": 15, "ipv4": "100.64.0.15", "ipv6": V6 + "f"}
    topology["nodes"]["other"]["tags"] = ["tag:staging"]
    grants = [
        {"src": ["ada@"], "dst": ["10.1.0.0/16"], "ip": ["*"], "via": ["tag:staging"]},
        {"src": ["bob@"], "dst": ["10.1.0.0/16"], "ip": ["*"]},
    ]
    approve = {"routes": {"10.0.0.0/8": ["tag:router", "tag:staging"]}}
    policy = {"tagOwners": TAGS, "autoApprovers": approve, "grants": grants}
    answer = run(json.dumps(policy), topology)
    routes = {
        (viewer, peer): answer["nodes"][viewer]["peers"].get(peer, {}).get("primary_routes")
        for viewer in ("laptop", "tablet")
        for peer in ("router", "other")
    }
    assert routes["laptop", "other"] == ["10.1.0.0/16"]
    assert routes["laptop", "router"] is None
    assert routes["tablet", "router"] == ["10.1.0.0/16"]
    assert routes["tablet", "other"] == []


def test_via_steers_to_prefixes_only_so_that_self_and_tags_open_nothing() -> None:
    grant = {"src": ["ada@example.com"], "dst": ["autogroup:self", "tag:dev"], "ip": ["*"], "via": ["tag:router"]}
    answer = compiled({"grants": [grant]})
    assert all(not node["peers"] and not node["packet_filter"] for node in answer["nodes"].values())


def test_a_posture_lets_only_devices_that_meet_it() -> None:
    policy = {"postures": {"posture:linux": ["node:os IN ['linux', 'windows']"]}}
    answer = compiled(policy | allow("ada@example.com", "tag:dev:22", srcPosture=["posture:linux"]))
    assert filter_of(answer, "dev")[0]["SrcIPs"] == ["100.64.0.1", V6 + "1"]
    assert peers_of(answer, "dev") == {"laptop"}
    wide = compiled(policy | {"defaultSrcPosture": ["posture:linux"]} | allow("*", "tag:dev:22"))
    assert filter_of(wide, "dev")[0]["SrcIPs"] == ["10.1.0.0/16", "100.64.0.1", V6 + "1"]
    assert peers_of(wide, "dev") == {"laptop", "router"}


def test_tests_judge_each_device_by_its_posture_unless_they_bring_their_own() -> None:
    rule = {"action": "accept", "src": ["ada@example.com"], "dst": ["tag:dev"], "users": ["root"]}
    policy = {
        "postures": {"posture:linux": ["node:os == 'linux'"]},
        "ssh": [rule | {"srcPosture": ["posture:linux"]}],
    } | allow("ada@example.com", "tag:dev:22", srcPosture=["posture:linux"])
    for source, attributes, reaches in (
        ("100.64.0.1", None, True),
        ("100.64.0.3", None, False),
        ("ada@example.com", None, False),
        ("ada@example.com", {"node:os": "linux"}, True),
        ("ada@example.com", {"node:os": "ios"}, False),
    ):
        test: dict[str, Any] = {"src": source} | ({"srcPostureAttrs": attributes} if attributes else {})
        compiled(policy | {"tests": [test | {"accept" if reaches else "deny": ["tag:dev:22"]}]})
        wanted = {"tests": [test | {"accept": ["tag:dev:22"]}]}
        login = {"sshTests": [test | {"dst": ["tag:dev"], "accept": ["root"]}]}
        for tests in (wanted, login):
            if reaches:
                compiled(policy | tests)
            else:
                assert "expected ALLOWED, got DENIED" in refused(policy | tests)


def test_an_ipset_is_what_its_steps_leave() -> None:
    policy = {"ipsets": {"ipset:some": ["add 10.1.0.0/16", "remove 10.1.1.0/24"]}}
    answer = compiled(policy | allow("ada@example.com", "ipset:some:443"))
    assert [entry["IP"] for entry in filter_of(answer, "router")[0]["DstPorts"]] == [
        "10.1.0.0/24",
        "10.1.2.0-10.1.255.255",
    ]


def test_roles_and_domains_name_people() -> None:
    answer = compiled(allow("autogroup:admin", "tag:dev:22"))
    assert peers_of(answer, "dev") == {"laptop", "phone"}
    answer = compiled(allow("user:*@example.com", "tag:dev:22"))
    assert peers_of(answer, "dev") == {"laptop", "phone", "tablet"}


def test_ssh_checks_come_first_and_carry_the_address_to_ask() -> None:
    rules = [
        {"action": "accept", "src": ["bob@"], "dst": ["tag:dev"], "users": ["root"]},
        {"action": "check", "src": ["bob@"], "dst": ["tag:dev"], "users": ["autogroup:nonroot"], "checkPeriod": "30m"},
    ]
    check, accept = compiled({"ssh": rules})["nodes"]["dev"]["ssh"]
    assert check["action"]["holdAndDelegate"].startswith("https://unused/machine/ssh/action/")
    assert check["sshUsers"] == {"root": "", "*": "="}
    assert accept["action"]["accept"] is True
    assert accept["principals"] == [{"nodeIP": "100.64.0.5"}, {"nodeIP": V6 + "5"}]


def test_ipv4_switched_off_for_one_hides_it_both_ways() -> None:
    answer = compiled({"nodeAttrs": [{"target": ["tag:dev"], "attr": ["disable-ipv4"]}]})
    assert answer["nodes"]["laptop"]["peers"]["dev"]["addresses"] == [V6 + "7/128"]
    assert answer["nodes"]["dev"]["peers"]["laptop"]["addresses"] == [V6 + "1/128"]
    assert len(answer["nodes"]["laptop"]["peers"]["phone"]["addresses"]) == 2


def test_old_spellings_are_accepted_with_the_modern_one_named() -> None:
    rule = {"action": "accept", "users": ["bob"], "ports": ["tag:dev:22"]}
    answer = compiled({"ACLs": [rule], "Groups": {"group:old": ["ada"]}})
    assert filter_of(answer, "dev")[0]["SrcIPs"] == ["100.64.0.5", V6 + "5"]
    warnings = "\n".join(answer["warnings"])
    for part in ('"users" is an old spelling, write "src"', 'write "bob@"', 'write "ada@"'):
        assert part in warnings


def test_icmp_is_tested_with_port_zero() -> None:
    policy = allow("bob@", "tag:dev:*", proto="icmp")
    test = {"src": "bob@", "proto": "icmp", "accept": ["tag:dev:0"], "deny": ["tag:prod:0"]}
    compiled(policy | {"tests": [test]})
    assert "test(s) failed" in refused(policy | {"tests": [test | {"accept": ["tag:dev:*"]}]})


def test_a_failing_test_says_what_was_expected() -> None:
    policy = allow("bob@", "tag:dev:22") | {
        "tests": [{"src": "bob@", "accept": ["tag:prod:22"], "deny": ["tag:dev:22"]}]
    }
    text = refused(policy)
    assert "bob@ -> tag:prod:22 (any): expected ALLOWED, got DENIED" in text
    assert "bob@ -> tag:dev:22 (any): expected DENIED, got ALLOWED" in text


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ('{"acls": [],\n  "acl": []}', 'unknown field: "acl" (line 2, column 3)'),
        ('{"acls": [], "ACLs": []}', 'duplicate field: "ACLs"'),
        ('{"hosts": {"a": "10.0.0.1", "a": "10.0.0.2"}}', 'duplicate key: "a"'),
        ('{"acls": [', "list is not closed (line 1, column 10)"),
        ('{"acls": [] /* }', "comment is not closed"),
        ('{"hosts": {"h": "10.0"}}', 'hostname contains invalid IP address: hostname "h" address "10.0"'),
        ("[" * 100, "nesting is deeper than 32 levels"),
        ('{"a": "\\ud800"}', "not valid Unicode"),
        ('{"acls": [{"action": "accept", "src": [7], "dst": {}}]}', "expected a string, got number"),
        ('{"groups": {"group:a": "x"}}', 'group value must be an array of users: group "group:a" got string'),
        ("acls:\n", "has nothing after it"),
        ("acls:\n  - action: accept\n    src: [*]\n", 'write "*" and "*:*"'),
        ("a: 1\n---\nb: 2\n", "more than one YAML document"),
        ("acls: []\nacls: []\n", 'duplicate field: "acls" (line 2, column 1)'),
        ("x: &a [1]\ny: [" + "*a, " * 200 + "]", "more than 100 uses of anchors"),
        ("\tacls: []", "invalid YAML"),
        ("words", "must be an object"),
        (" \n", "the policy is blank: write {} to allow everything"),
        ("// nothing\n/* here */ # either", "the policy is blank"),
        ('{"acls": ["a\nb"]}', "bad string: invalid control character (line"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(policy: str, message: str) -> None:
    assert message in refused(policy)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (allow("*", "tag:dev"), 'dst="tag:dev": port range "dev": invalid first integer'),
        (allow("*", "tag:dev:70000"), "port number out of range"),
        (allow("*", "tag:dev:9-1"), "first port is greater than last port"),
        (allow("*", "tag:dev:0"), "first port must be >0, or use '*' for wildcard"),
        (allow("*", "tag:dev:22", proto="icmp"), 'protocol does not support specific ports: "icmp"'),
        (allow("*", "tag:dev:22", proto="06"), "leading 0 not permitted"),
        (allow("tag:gone", "*:*"), 'src=tag not found: "tag:gone"'),
        (allow("nobody", "*:*"), 'host not defined in policy: "nobody"'),
        (allow("autogroup:bogus", "*:*"), 'invalid autogroup: got "autogroup:bogus"'),
        (allow("*", "[10.0.0.1]:22"), "square brackets are only valid around IPv6 addresses"),
        ({"grants": [{"src": ["*"], "dst": ["*"], "ip": []}]}, "ip and app can not both be empty"),
        ({"grants": [{"src": ["*"], "dst": ["::/0"], "ip": ["*"]}]}, 'dst "::/0": to allow all IP addresses'),
        ({"grants": [{"src": ["*"], "dst": ["*"], "ip": ["icmp:22"]}]}, "protocol does not support specific ports"),
        ({"groups": {"group:a": ["group:b"], "group:b": []}}, 'groups["group:a"]: "group:b": group members cannot be'),
        ({"tagOwners": {"tag:1": []}}, "tag names must start with a letter, after 'tag:'"),
        ({"postures": {"posture:x": ["node:os ~ 'linux'"]}}, "invalid posture assertion"),
        ({"postures": {"posture:x": ["node:os > 'linux'"]}}, "invalid posture assertion"),
        (
            {"tests": [{"src": "ada@", "proto": "gre", "accept": ["tag:dev:22"]}]},
            "test 0: test protocol must be tcp, udp",
        ),
        (
            {"hosts": {"h": "100.64.0.0/24"}, "sshTests": [{"src": "ada@", "dst": ["h"], "accept": ["root"]}]},
            'SSH tests dst contains disallowed element "h"',
        ),
        ({"ipsets": {"ipset:a": ["ipset:b"], "ipset:b": ["ipset:a"]}}, "contain each other in a circle"),
        ({"nodeAttrs": [{"target": ["autogroup:self"], "attr": ["x"]}]}, "nodeAttrs target does not support"),
        (
            {"ssh": [{"action": "check", "src": ["ada@"], "dst": ["tag:dev"], "users": ["x"], "checkPeriod": "200h"}]},
            "checkPeriod 200h0m0s is above the max (168h)",
        ),
    ],
)
def test_rules_that_make_no_sense_are_refused_in_known_words(policy: dict[str, Any], message: str) -> None:
    assert message in refused(policy)


def test_every_error_is_reported_at_once() -> None:
    text = refused(allow("tag:gone", "tag:dev:ssh", action="deny") | {"hosts": {"h": "x"}})
    for part in ('action="deny" is not supported', "tag:gone", 'port range "ssh"', 'hostname "h"'):
        assert part in text


def test_comments_and_trailing_commas_are_no_trouble() -> None:
    answer = compiled('// c\n{"acls": [ /* none */ {"action": "accept", "src": ["*",], "dst": ["*:*",],},], // end\n}')
    assert len(filter_of(answer, "dev")) == 1


@pytest.mark.parametrize(
    "topology",
    [
        {"nodes": {"a": {"ipv4": "x"}}},
        {"nodes": {"a": {"user": "zoe"}}},
        {"users": [1]},
        {"nodes": [1]},
        {"nodes": {"a": {"id": -1}}},
        {"nodes": {"a": {"id": 1}, "b": {"id": 1}}},
        {"users": [{"id": 7}, {"id": 7}]},
    ],
)
def test_a_topology_that_makes_no_sense_is_refused(topology: dict[str, Any]) -> None:
    (error,) = run("{}", topology)["errors"]
    assert error.startswith("topology: ")


def test_ids_only_order_nodes_and_users_so_they_may_begin_at_zero_or_be_left_out() -> None:
    router = {"tags": ["tag:router"], "routable_ips": ["10.1.0.0/16"], "approved_routes": ["10.1.0.0/16"]}
    topology = {
        "users": [{"id": 0, "name": "ada", "email": ""}, {"name": "bob"}],
        "nodes": {
            "late": {"id": 2, "ipv4": "100.64.0.2", **router},
            "viewer": {"id": 1, "ipv4": "100.64.0.1", "user": "ada"},
            "early": {"id": 0, "ipv4": "100.64.0.3", **router},
        },
    }
    answer = run("{}", topology)
    assert answer["nodes"]["viewer"]["peers"]["early"]["primary_routes"] == ["10.1.0.0/16"]
    assert answer["nodes"]["viewer"]["peers"]["late"]["primary_routes"] == []


def test_exit_nodes_that_the_policy_approves_are_suggested_to_peers() -> None:
    node = {"tags": ["tag:exit"], "routable_ips": ["0.0.0.0/0", "::/0"], "approved_routes": ["0.0.0.0/0", "::/0"]}
    topology = {
        "nodes": {
            "a": {"ipv4": "100.64.0.1", "tags": ["tag:dev"]},
            "exit": {"ipv4": "100.64.0.2", **node},
            "plain": {"ipv4": "100.64.0.3", **node, "tags": ["tag:prod"]},
        }
    }
    answer = run(json.dumps({"tagOwners": TAGS, "autoApprovers": APPROVE}), topology)
    caps = {name: peer["cap_map"] for name, peer in answer["nodes"]["a"]["peers"].items()}
    assert caps == {"exit": {"suggest-exit-node": None}, "plain": {}}
    assert "suggest-exit-node" not in answer["nodes"]["exit"]["cap_map"]


def test_ipsets_that_grow_without_bound_are_refused_at_small_cost() -> None:
    big = [f"add 10.{n >> 8 & 255}.{n & 255}.{n % 7 * 32}/30" for n in range(20_000)]
    many = {"ipset:big": big} | {f"ipset:n{n}": ["ipset:big"] * 10 for n in range(1000)}
    assert "ipsets have more than 200000 ranges in all" in refused({"ipsets": many})
    turns = [f"{'remove' if n % 2 else 'add'} 10.0.{n & 255}.0/24" for n in range(2000)]
    assert "more than 500 turns" in refused({"ipsets": {"ipset:turns": turns}})
