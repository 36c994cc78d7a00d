"""Starts each test of the command line like a new process: no output form chosen, and called by its name alone."""

from __future__ import annotations

import pytest

from cli.frame import output


@pytest.fixture(autouse=True)
def new_process() -> None:
    """Forget what an earlier test, or the program that it ran, chose."""
    output.choose(None, modern=False)
    output.choose_command("", "")
