"""What a configuration must have for processes that run apart."""

from __future__ import annotations

from services.shared.config.errors import ConfigError, Problem
from services.shared.config.model import Config


def check_stack(config: Config) -> None:
    """Make sure that processes find each other, and that strangers stay out.

    Raises:
        ConfigError: the stack would have no bus, or be open to strangers.
    """
    where = str(config.source or "configuration")
    problems: list[Problem] = []
    if not config.bus.url:
        problems.append(
            Problem(where, "bus.url", "is empty", "processes that run apart need Redis: set redis://host:6379")
        )
    if not config.services.token and not config.services.tls.enabled:
        problems.append(
            Problem(where, "services.token", "is empty", "set it, or services.tls, the same for all processes")
        )
    if problems:
        raise ConfigError(problems)
