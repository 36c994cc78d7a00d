"""All that is checked once the configuration is read: what forbids a start, and what is worth a warning."""

from __future__ import annotations

from collections.abc import Callable

from services.shared.config.errors import Problem
from services.shared.config.idle import idle_doubts
from services.shared.config.login_checks import login_doubts, login_faults
from services.shared.config.model import Config
from services.shared.config.process_checks import process_doubts, process_faults
from services.shared.config.reach_checks import reach_doubts
from services.shared.config.tailnet_checks import tailnet_doubts, tailnet_faults


def check(config: Config, where: Callable[[str], str]) -> tuple[list[Problem], list[str]]:
    """Find contradictions in a completed configuration: those that forbid a start, and those worth a warning."""
    problems = [
        Problem(where(key), key, what, remedy)
        for faults in (tailnet_faults, login_faults, process_faults)
        for key, what, remedy in faults(config)
    ]
    if problems:
        return problems, []
    return [], [
        f"{where(key)}: {key} {what} — {remedy}"
        for doubts in (login_doubts, tailnet_doubts, process_doubts, reach_doubts, idle_doubts)
        for key, what, remedy in doubts(config)
    ]
