"""Rules for SQL that no database checks: bounded IN lists, and no statement that reaches into another tailnet.

Read from the syntax of `services/*/sql`. An IN list takes its values from the loop over `parts()` around it. A
statement names `tailnet_id` itself, or by a name or a method of its module that it is built from.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "services"
MODULES = sorted(path for service in ("registry", "policy", "auth") for path in (ROOT / service / "sql").glob("*.py"))
STATEMENTS = {"select", "update", "delete"}
WITHOUT_TAILNET = {"counters"}
"""Tables that have no tailnet: ids are unique over all of them."""
DEPTH = 3
"""Names of names that are followed."""


def in_lists(tree: ast.Module) -> Iterator[tuple[ast.Call, bool]]:
    """Each `.in_()` call, and whether its list is one of `parts()`."""
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For | ast.comprehension | ast.AsyncFor)]
    cut = [loop for loop in loops if isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter.func) == "parts"]
    names = {ast.unparse(loop.target) for loop in cut}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "in_":
            yield node, len(node.args) == 1 and ast.unparse(node.args[0]) in names


def statements(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    """Each statement of SQLAlchemy, and all source that it is built from."""
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in STATEMENTS:
            whole: ast.AST = node
            while not isinstance(whole, ast.stmt):
                whole = parents[whole]
            scope: ast.AST = whole
            while scope in parents and not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                scope = parents[scope]
            yield node, source_of(whole, scope, tree, DEPTH)


def source_of(part: ast.AST, scope: ast.AST, tree: ast.Module, depth: int) -> str:
    """The source of a statement and of the names and methods that it uses."""
    found = [ast.unparse(part)]
    if depth:
        found += [source_of(one, scope, tree, depth - 1) for one in definitions(names_in(part), scope, tree)]
    return "\n".join(found)


def names_in(part: ast.AST) -> set[str]:
    names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(part) if isinstance(node, ast.Attribute) and is_own(node)}


def is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def definitions(names: set[str], scope: ast.AST, tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and any(ast.unparse(target) in names for target in node.targets):
            yield node.value
        if isinstance(node, ast.For | ast.AsyncFor) and ast.unparse(node.target) in names:
            yield node.iter
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in names and node is not scope:
            yield node


def unbounded(source: str) -> list[str]:
    return [ast.unparse(call) for call, bounded in in_lists(ast.parse(source)) if not bounded]


def without_tailnet(source: str) -> list[str]:
    found = statements(ast.parse(source))
    return [
        ast.unparse(call)
        for call, built in found
        if "tailnet_id" not in built and not any(name in built for name in WITHOUT_TAILNET)
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_statements_are_bounded_and_name_their_tailnet(path: Path) -> None:
    source = path.read_text()
    assert unbounded(source) == []
    assert without_tailnet(source) == []


def test_the_rules_find_what_they_forbid() -> None:
    assert unbounded("def f(gone): return delete(nodes).where(nodes.c.id.in_(gone))")
    assert not unbounded("def f(gone):\n for part in parts(gone): delete(nodes).where(nodes.c.id.in_(part))")
    assert without_tailnet("def f(gone): return delete(nodes).where(nodes.c.id == gone)")
    assert without_tailnet(
        "def f(gone):\n x = nodes.c.tailnet_id == 1\n return delete(nodes).where(nodes.c.id == gone)"
    )
    assert not without_tailnet("def f(gone):\n x = nodes.c.tailnet_id == 1\n return delete(nodes).where(x)")
    method = "class A:\n def _ours(self): return c.tailnet_id == self._tailnet\n"
    assert not without_tailnet(method + " def f(self): return select(nodes).where(self._ours())")
