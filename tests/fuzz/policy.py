"""What must hold for any text whatever: read or refused with places inside it, soon, and as a second reader says."""

from __future__ import annotations

import time
from typing import Any

from services.policy.compile import run
from services.policy.model.compiler import compile_policy
from services.policy.model.text.hujson import read_hujson
from services.policy.model.text.problems import Lines, PolicyError, SyntaxProblem
from services.policy.model.text.tree import Value
from services.policy.model.text.yamltext import read_yaml
from services.shared.access.compiled import CompiledPolicy
from tests.fuzz.oracle import NotHuJsonError, Pairs, parse

PATIENCE = 5.0
"""Seconds for one text; generous, as the machine may be busy."""

TOPOLOGY: dict[str, Any] = {
    "users": [
        {"id": 1, "name": "a", "email": "a@b.c", "role": "owner"},
        {"id": 2, "name": "b", "email": "b@example.com"},
    ],
    "nodes": {
        "one": {"id": 1, "user": "a", "ipv4": "100.64.0.1", "ipv6": "fd7a:115c:a1e0::1"},
        "two": {"id": 2, "user": "b", "ipv4": "100.64.0.2", "attributes": {"node:os": "linux"}},
        "three": {"id": 3, "tags": ["tag:x"], "ipv4": "100.64.0.3", "routable_ips": ["10.0.0.0/8", "0.0.0.0/0"]},
    },
}  # fmt: skip

OURS = ("levels", "values", "items in one", "not valid Unicode", "number is longer")
"""Words of refusals by limits of ours, which the second reader does not have."""


def check_all(text: str) -> None:
    """Every property for one text."""
    started = time.monotonic()
    check_compiles(text)
    check_differential(text)
    check_yaml(text)
    took = time.monotonic() - started
    assert took < PATIENCE, f"took {took:.1f} s"


def check_compiles(text: str) -> None:
    """A text compiles, and the compiled form survives its journey; or it is refused with places inside the text."""
    lines = text.count("\n") + 1
    for name in ("", "policy.yaml", "policy.hujson"):
        try:
            document = compile_policy(text, name=name)
        except PolicyError as error:
            assert error.lines
            for problem in error.problems:
                assert 0 <= problem.line <= lines, problem
                assert problem.message
        else:
            assert CompiledPolicy.from_bytes(document.policy.to_bytes()) == document.policy
    answer = run(text, TOPOLOGY)
    assert ("errors" in answer) != ("nodes" in answer)


def check_yaml(text: str) -> None:
    """The YAML reader refuses in its own words only."""
    try:
        read_yaml(text)
    except SyntaxProblem as problem:
        assert 0 <= problem.at <= len(text)


def check_differential(text: str) -> None:
    """Our reader of HuJSON and the second one accept the same texts, and read the same from them."""
    try:
        tree: Value | None = read_hujson(text)
        refusal = ""
    except SyntaxProblem as problem:
        assert 0 <= problem.at <= len(text)
        Lines(text).place(problem.at)
        tree, refusal = None, problem.message
    try:
        other = parse(text)
    except NotHuJsonError as error:
        assert tree is None, f"accepted what the second reader refuses: {error}"
        return
    if tree is None:
        assert any(words in refusal for words in OURS), f"refused what the second reader accepts: {refusal}"
        return
    assert _plain(tree) == other


def _plain(value: Value) -> Any:
    data = value.data
    if isinstance(data, list):
        return [_plain(item) for item in data]
    if isinstance(data, tuple):
        return Pairs((entry.key, _plain(entry.value)) for entry in data)
    return data
