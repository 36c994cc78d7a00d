"""The examples in docstrings give the results that they show."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for room in ("cli", "gateway", "services")
    for path in (ROOT / room).rglob("*.py")
    if "\n    >>> " in path.read_text()
)


def test_there_are_examples() -> None:
    assert len(MODULES) >= 9


@pytest.mark.parametrize("name", MODULES)
def test_each_example_gives_what_it_shows(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted
    assert not result.failed
