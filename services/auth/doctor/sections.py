"""Names what a start refuses in the sections of providers, without a request to any."""

from __future__ import annotations

from services.auth.provider_config import check_providers
from services.shared.config.errors import ConfigError, ConfigProblem
from services.shared.config.model import Config


def fault_of_sections(config: Config) -> tuple[ConfigProblem, ...]:
    """Return the problems for which a start with these providers is refused."""
    try:
        check_providers(config)
    except ConfigError as error:
        return error.problems
    return ()
