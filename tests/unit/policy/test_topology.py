"""Descriptions of a tailnet: what they may leave out, what they may not say, and how their text is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cli.frame.errors import CommandError
from cli.policy.topology import read_topology as read_file
from services.policy.compile import run
from services.policy.model.checks.described import TopologyError
from services.policy.model.checks.topology import read_topology

NODE = {"id": 1, "ipv4": "100.64.0.1", "ipv6": "fd7a:115c:a1e0::1"}
IS_SET = {
    "postures": {"posture:set": ["custom:tier IS SET"]},
    "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"], "srcPosture": ["posture:set"]}],
}


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ({"groups": {}, "acls": []}, "has none of users, nodes, tailnet, services"),
        ({"users": [{"name": "ada", "role": "boss"}]}, 'users[0].role: "boss" is none of owner, admin,'),
        ({"nodes": {"a": NODE | {"tags": ["dev"]}}}, 'nodes.a.tags: a tag begins with tag:, got "dev"'),
        ({"nodes": {"a": NODE | {"ipv4": "fd7a::1"}}}, "nodes.a: ipv4 and ipv6 are not each of its kind"),
        ({"nodes": {"a": NODE | {"ipv6": "100.64.0.2"}}}, "nodes.a: ipv4 and ipv6 are not each of its kind"),
        ({"nodes": {"a": NODE | {"attributes": {"x": []}}}}, "nodes.a.attributes.x: expected text, a number, true or"),
        ({"nodes": {"a": NODE | {"ipv6": "fe80::1%eth0"}}}, 'nodes.a.ipv6: not an address: "fe80::1%eth0"'),
        ({"nodes": {"a": NODE | {"online": 0}}}, "nodes.a.online: expected true or false"),
        ({"tailnet": {"auto_update": 1}}, "tailnet.auto_update: expected true or false"),
        (
            {"users": [{"name": "ada"}, {"name": "ada"}], "nodes": {"a": NODE | {"user": "ada"}}},
            'nodes.a.user: several users are named "ada"',
        ),
        ({"nodes": {"a": NODE | {"user": {"name": "ada"}}}}, "nodes.a.user: expected text"),
    ],
)
def test_what_a_description_cannot_mean_is_refused(topology: dict[str, Any], message: str) -> None:
    with pytest.raises(TopologyError) as refusal:
        read_topology(topology)
    assert message in str(refusal.value)


def test_an_owner_is_named_by_name_else_email_else_id_and_of_a_tagged_node_by_nothing() -> None:
    users = [
        {"id": 7, "name": "ada", "email": "bob"},
        {"id": 8, "name": "bob"},
        {"id": 9, "name": "8", "email": "cy@x"},
    ]
    for owner, user_id in (("bob", 2), ("cy@x", 3), (8, 3), (7, 1), (9, 3), ("", 0), (None, 0)):
        nodes = {"a": NODE | {"user": owner}, "b": {"user": "gone", "tags": ["tag:x"]}}
        found = read_topology({"users": users, "nodes": nodes}).nodes
        assert (found["a"].user_id, found["b"].user_id) == (user_id, 0)


def test_an_attribute_that_is_null_is_not_set() -> None:
    for value, peers in ((None, []), ("", ["b"])):
        nodes = {"a": NODE | {"attributes": {"custom:tier": value}}, "b": {"id": 2, "ipv4": "100.64.0.2"}}
        answer = run(str(IS_SET).replace("'", '"'), {"nodes": nodes})
        assert list(answer["nodes"]["a"]["peers"]) == peers


@pytest.mark.parametrize(
    "text",
    [
        '{"nodes": {"no": {"id": 7, "user": "on", "approved_routes": null, "attributes": {"node:tsVersion": 1.80}}}}',
        "nodes:\n  no: {id: 7, user: on, approved_routes: , attributes: {node:tsVersion: 1.80}}\n",
    ],
)
def test_numbers_with_a_point_and_short_words_stay_what_was_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "tailnet").write_text(text)
    users = {"users": [{"name": "on"}]}
    described = read_topology(users | read_file(str(tmp_path / "tailnet")))
    assert described.nodes["no"].attributes == (("node:tsVersion", "1.80"),)
    assert described.nodes["no"].user_id == 1
    assert described.undecided == {"no"}


def test_yaml_has_true_false_and_null_and_anchors(tmp_path: Path) -> None:
    (tmp_path / "tailnet").write_text(
        "nodes:\n  a: &a {ipv4: 100.64.0.1, online: false, tags: ~, attributes: {x: True}}\n"
        "  b: {<<: [*a, {online: true}], ipv4: 100.64.0.2}\ntailnet: {auto_update: true}\n"
    )
    described = read_topology(read_file(str(tmp_path / "tailnet")))
    assert [(node.ipv4, node.online, node.tags) for node in described.nodes.values()] == [
        ("100.64.0.1", False, ()),
        ("100.64.0.2", False, ()),
    ]
    assert described.nodes["b"].attributes == (("x", "true"),)
    assert described.auto_update


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nesting is deeper than 32 levels"),
        ("a: " + "[" * 100_000, "nesting is deeper than 32 levels"),
        ("x: &a [1]\ny: [" + "*a, " * 200 + "]", "more than 100 uses of anchors"),
        ('{"nodes": {"\\ud800": {}}}', "not valid Unicode"),
        ('{"nodes": {"a": {"id": 1, "id": 2}}}', 'duplicate key: "id"'),
        ("nodes: {a: {}, a: {}}", 'duplicate key: "a"'),
        ("[1]", "is an object with users, nodes and tailnet"),
        ("nodes: [\n", "neither JSON nor YAML"),
    ],
)
def test_text_that_describes_nothing_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "tailnet").write_text(text)
    with pytest.raises(CommandError, match=re.escape(message)):
        read_file(str(tmp_path / "tailnet"))
