"""The text of a described tailnet, JSON or YAML, as plain data: its meaning is for `policy.model.checks.topology`.

YAML goes through the reader of policies, which bounds its depth and its anchors: the library's own does not, and in C
it ends the process. Scalars stay the text that was written, but for null, true and false: 1.10 is a version, not 1.1.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cli.frame.errors import CommandError
from cli.policy.files import read_file

if TYPE_CHECKING:
    from services.policy.offline import Value

_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def read_topology(path: str) -> dict[str, Any]:
    """Return a described tailnet. Raises: `CommandError`."""
    text = read_file(path)
    try:
        found = json.loads(text, parse_float=str, object_pairs_hook=_once)
        # A lone half of a surrogate pair is JSON, and could not be printed.
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise CommandError(f"{path}: text contains a character that is not valid Unicode") from None
    except _TwiceError as error:
        raise CommandError(f'{path}: duplicate key: "{error}"') from None
    except (ValueError, RecursionError):
        found = _yaml(path, text)
    if not isinstance(found, dict):
        raise CommandError(f"{path}: a described tailnet is an object with users, nodes and tailnet")
    return found


class _TwiceError(Exception):
    """A key that an object has twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _TwiceError(key)
        made[key] = value
    return made


def _yaml(path: str, text: str) -> object:
    from services.policy.offline import Lines, SyntaxProblem, read_yaml

    try:
        return _data(read_yaml(text.removeprefix("\ufeff")))
    except SyntaxProblem as problem:
        line, column = Lines(text).place(problem.at)
        place = f"(line {line}, column {column})"
        raise CommandError(f"{path}: neither JSON nor YAML: {problem.message} {place}") from None
    except _TwiceError as error:
        raise CommandError(f'{path}: duplicate key: "{error}"') from None


def _data(value: Value) -> Any:
    from services.policy.offline import Plain

    if isinstance(value.data, list):
        return [_data(item) for item in value.data]
    if isinstance(value.data, tuple):
        pairs = [(entry.key, _data(entry.value)) for entry in value.data]
        merged = _once([pair for pair in pairs if pair[0] != "<<"])
        given = [value for key, value in pairs if key == "<<"]
        for one in [item for value in given for item in (value if isinstance(value, list) else [value])]:
            if isinstance(one, dict):
                merged = one | merged
        return merged
    if isinstance(value.data, Plain):
        return _WORDS.get(value.data, str(value.data))
    return value.data
