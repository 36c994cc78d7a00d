"""docs/configuration.md names every key with its default and what it means, and is right about those without effect."""

from __future__ import annotations

import ast
import runpy
from functools import cache
from pathlib import Path

import pytest

from services.shared.config import load
from services.shared.config.described import described
from services.shared.config.environment import keys
from services.shared.config.ignored_keys import IDLE, QUIET
from tests.unit.config.reading import ATTRIBUTES

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "services" / "shared" / "config"
KEYS = {".".join(path): secret for path, secret in keys()}


def rows() -> dict[str, tuple[str, str]]:
    """Key to default and meaning, as the page says them."""
    lines = (ROOT / "docs" / "configuration.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line[2:-1].split("|")] for line in lines if line.startswith("| `")]
    return {key.strip("`"): (default.strip("`"), meaning) for key, default, meaning in cells}


@cache
def read_names() -> set[str]:
    """Every attribute that product code reads outside of the configuration itself."""
    files = [file for top in ("gateway", "services", "cli") for file in (ROOT / top).rglob("*.py")]
    return {
        node.attr
        for file in files
        if CONFIG not in file.parents or file.name == "relay_place.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def test_the_page_is_made_from_the_keys() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "configuration-page.py"))
    assert (ROOT / "docs" / "configuration.md").read_text().endswith(page["tables"]()), "run: make docs"


def test_every_key_is_described() -> None:
    keys_described = described()
    assert [key.name for key in keys_described] == list(KEYS)
    assert [key.name for key in keys_described if not key.meaning] == []
    assert {key.name for key in keys_described if key.secret} == {key for key, secret in KEYS.items() if secret}
    assert all(key.default in key.choices for key in keys_described if key.choices and key.default)


def test_the_page_marks_the_secrets() -> None:
    assert {key for key, (_, meaning) in rows().items() if meaning.endswith("Secret.")} == {
        key for key, secret in KEYS.items() if secret
    }


def test_the_page_says_which_keys_have_no_effect() -> None:
    assert {key for key, (_, meaning) in rows().items() if meaning.startswith("No effect")} == set(IDLE) | QUIET


def test_every_other_key_is_read_somewhere() -> None:
    read = read_names()
    last = {key: key.rpartition(".")[2] for key in set(KEYS) - set(IDLE) - QUIET}
    assert [key for key, name in last.items() if ATTRIBUTES.get(name, name) not in read] == []


@pytest.mark.parametrize("key", [key for key in IDLE if not key.endswith(".addresses")])
def test_a_key_without_effect_is_read_nowhere(key: str) -> None:
    assert key.rpartition(".")[2] not in read_names()


def test_what_is_set_in_vain_is_said_once_with_a_remedy(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("server_url: https://a.example\ntuning: {batcher_workers: 3}\n")
    assert load(file, {}).warnings == (
        f"{file}:2: tuning.batcher_workers changes nothing here — windows and queues follow the load here; remove it",
    )
