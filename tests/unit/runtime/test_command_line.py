"""Commands in texts, rewritten so that they work when pasted: the program's place, and the configuration."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from services.shared.runtime.command_line import command_line, respelled, typed_command


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the program, which is not on the path."""
    program = tmp_path / "my venv" / "headscale"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "/nowhere")
    return program


def test_a_program_off_the_path_is_named_by_its_place(installed: Path) -> None:
    assert command_line(None) == f"'{installed}'"
    assert command_line(Path("/srv/a b.yaml")) == f"'{installed}' -c '/srv/a b.yaml'"


def test_a_program_on_the_path_is_named_by_its_name_alone(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"/nowhere:{installed.parent}")
    assert command_line(None) == "headscale"
    assert command_line(Path("/etc/headscale/config.yaml")) == "headscale"
    assert command_line(Path("/srv/config.yaml")) == "headscale -c /srv/config.yaml"


def test_another_program_of_that_name_on_the_path_is_not_ours(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "headscale"
    other.write_text("#!/bin/sh\n# Headscale's own\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_line(None) == f"'{installed}'"


@pytest.mark.parametrize(
    ("program", "config", "typed"),
    [
        (".venv/bin/headscale", "state/config.yaml", ".venv/bin/headscale -c state/config.yaml"),
        (".venv/bin/smartscale", "", ".venv/bin/smartscale"),
        ("/usr/lib/python3/dist-packages/pytest/__main__.py", "a b.yaml", "headscale -c 'a b.yaml'"),
    ],
)
def test_a_command_is_printed_as_the_caller_typed_this_one(program: str, config: str, typed: str) -> None:
    assert typed_command(program, config) == typed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("create one: headscale users create NAME", "create one: X users create NAME"),
        ("run `headscale import` or headscale import --from FILE", "run `X import` or X import --from FILE"),
        ("see: headscale users create --help", "see: X users create --help"),
        ("see: headscale --help", "see: X --help"),
        ("the database of Headscale 0.29 with 5 users", "the database of Headscale 0.29 with 5 users"),
        ("postgres://headscale@db/headscale to take it over", "postgres://headscale@db/headscale to take it over"),
        ("/etc/headscale is a folder", "/etc/headscale is a folder"),
        (".venv/bin/headscale -c x import", ".venv/bin/headscale -c x import"),
    ],
)
def test_only_commands_are_rewritten(text: str, shown: str) -> None:
    assert respelled(text, "X") == shown
