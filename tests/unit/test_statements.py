"""Every numbered statement of the control protocol has a test that names it, or a reason why it does not apply yet."""

from __future__ import annotations

import ast
from pathlib import Path

LAST = 138
TESTS = Path(__file__).parents[1]

NOT_YET: dict[int, str] = {
    82: "we never send a null chunk of PacketFilters: the one chunk, base, is always replaced whole",
    91: "Debug is only ever DisableLogTail; nothing here can send SleepSeconds or Exit",
    93: "PopBrowserURL is never sent",
    112: "UnsignedPeerAPIOnly belongs to tailnet lock, which is not offered",
    131: "CertDomains is never sent, because set-dns is not offered",
    132: "set-dns is not offered",
    135: "no session recorder is configured, so no NotifyURL is ever handed out",
    136: "tailnet lock is not offered: its paths answer 404 or 501, as statement 37 wants",
}


def _named() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "statement"
                and isinstance(node.func.value, ast.Attribute)
                and node.func.value.attr == "mark"
            ):
                for argument in node.args:
                    assert isinstance(argument, ast.Constant) and isinstance(argument.value, int), path
                    found.setdefault(argument.value, []).append(path.name)
    return found


def test_each_statement_is_proven_or_excused() -> None:
    named = _named()
    missing = sorted(set(range(1, LAST + 1)) - set(named) - set(NOT_YET))
    assert not missing, f"no test names the statements {missing}"


def test_no_statement_is_both_proven_and_excused() -> None:
    assert not set(_named()) & set(NOT_YET)


def test_only_statements_that_exist_are_named() -> None:
    assert set(_named()) | set(NOT_YET) <= set(range(1, LAST + 1))
