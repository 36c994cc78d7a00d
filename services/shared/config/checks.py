"""All checks of a complete configuration: errors that prevent a start, and warnings."""

from __future__ import annotations

from collections.abc import Callable

from services.shared.config.errors import ConfigProblem
from services.shared.config.ignored_keys import idle_warnings
from services.shared.config.login_checks import login_errors, login_warnings
from services.shared.config.model import Config
from services.shared.config.process_checks import process_errors, process_warnings
from services.shared.config.server_url_checks import reach_warnings
from services.shared.config.tailnet_checks import tailnet_errors, tailnet_warnings


def check(config: Config, where: Callable[[str], str]) -> tuple[list[ConfigProblem], list[str]]:
    """Return the errors that prevent a start, and the warnings; no warnings while there are errors."""
    problems = [
        ConfigProblem(where(key), key, what, remedy)
        for errors in (tailnet_errors, login_errors, process_errors)
        for key, what, remedy in errors(config)
    ]
    if problems:
        return problems, []
    return [], [
        f"{where(key)}: {key} {what} — {remedy}"
        for warnings in (login_warnings, tailnet_warnings, process_warnings, reach_warnings, idle_warnings)
        for key, what, remedy in warnings(config)
    ]
