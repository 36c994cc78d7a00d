"""Documents as text and as JSON."""

from __future__ import annotations

import json

import pytest

from services.shared.telemetry.writing import as_json, as_text, wants_json

DOCUMENT = {
    "number": 3,
    "none": None,
    "yes": True,
    "inner": {"empty": {}, "list": [1, 2], "nothing": []},
    "rows": [{"id": 1, "tags": ["a", "b"]}, {"id": 22, "tags": []}],
    "deep": [{"a": {"b": 1}}, {"c": 2}],
    "text": "one\ntwo\x1b[2J",
}


def test_text_is_for_people() -> None:
    assert as_text(DOCUMENT) == (
        "number: 3\n"
        "none: -\n"
        "yes: yes\n"
        "inner:\n"
        "  empty: none\n"
        "  list: 1, 2\n"
        "  nothing: none\n"
        "rows:\n"
        "  id  tags\n"
        "  1   a, b\n"
        "  22  -\n"
        "deep:\n"
        "  - a:\n"
        "      b: 1\n"
        "  - c: 2\n"
        "text: |\n"
        "  one\n"
        "  two\N{REPLACEMENT CHARACTER}[2J\n"
    )


def test_json_is_for_programs() -> None:
    assert json.loads(as_json(DOCUMENT)) == DOCUMENT


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("text/html,application/json", False),
        ("Application/JSON; q=0.9, text/plain;q=0.1", True),
        ("image/png", False),
    ],
)
def test_the_accept_header_decides(accept: str, wanted: bool) -> None:
    assert wants_json(accept) is wanted
