"""Parsing of a policy text to its tree: detection of the language, and the limit on its length."""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.policy.model.text.hujson import read_hujson
from services.policy.model.text.problems import Lines, PolicyError, Problem, SyntaxProblem
from services.policy.model.text.tree import MAX_TEXT, Value
from services.policy.model.text.yamltext import read_yaml

_BLANK = re.compile(r"(?:\s|(?://|#)[^\n]*+|/\*.*?\*/)*+", re.DOTALL)
_LEADING = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_HASHED_JSON = re.compile(r"(?:#[^\n]*+\n\s*+)++\{")


@dataclass(frozen=True, slots=True)
class ParsedPolicy:
    """A parsed policy text."""

    tree: Value | None
    """None when the text is empty: there is no policy."""
    lines: Lines
    is_yaml: bool


_UNREADABLE = "reading policy:"
"""Prefix of syntax errors; errors of meaning begin with "parsing policy:"."""


def read(text: str, name: str = "") -> ParsedPolicy:
    """Read a policy text. The language follows from the text alone, since most doors have no file name.

    A name that promises the other language is mentioned where the text cannot be read.

    Raises: `PolicyError` when it cannot be read.
    """
    if len(text) > MAX_TEXT:
        raise PolicyError([Problem(f"the policy is longer than {MAX_TEXT >> 20} MiB")], _UNREADABLE)
    body = text.removeprefix("\ufeff")
    lines = Lines(body)
    if not body:
        return ParsedPolicy(None, lines, is_yaml=False)
    if _BLANK.fullmatch(body):
        message = 'the policy is blank: write {} to allow everything, or {"acls": []} to allow nothing'
        raise PolicyError([Problem(message)], _UNREADABLE)
    is_yaml = looks_like_yaml(body)
    try:
        tree = read_yaml(body) if is_yaml else read_hujson(body)
        if not isinstance(tree.data, tuple):
            raise SyntaxProblem(
                f"the policy must be an object with sections such as acls or grants, got {tree.kind}", 0
            )
    except SyntaxProblem as problem:
        message = problem.message + _misnamed(name, is_yaml)
        raise PolicyError([Problem(message, "", *lines.place(problem.at))], _UNREADABLE) from None
    return ParsedPolicy(tree, lines, is_yaml)


def _misnamed(name: str, is_yaml: bool) -> str:
    """Return what to add to an error where the file name promises the other language."""
    if is_yaml and name.lower().endswith((".json", ".hujson")):
        return "; this is read as YAML, because JSON begins with {"
    if not is_yaml and name.lower().endswith((".yml", ".yaml")):
        return "; this is read as JSON, because it begins with {"
    return ""


def looks_like_yaml(text: str) -> bool:
    """Return whether a text is to be parsed as YAML."""
    found = _LEADING.match(text)
    start = found.end() if found else 0
    # Behind `#` lines a brace is JSON with comments of another language, whatever the name of its file.
    return not (text.startswith(("{", "/"), start) or _HASHED_JSON.match(text, start))
