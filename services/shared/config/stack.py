"""Checks what a configuration needs if its processes run separately: a bus, and a token or certificates."""

from __future__ import annotations

from services.shared.config.errors import ConfigError, ConfigProblem
from services.shared.config.model import Config

MIN_TOKEN = 16
"""Characters of `services.token`: as hexadecimal digits 64 bits, too many to guess over a network."""
MIN_LETTERS = 8
"""Different characters of it, so that a repeated word or letter is refused."""


def check_stack(config: Config) -> None:
    """Check that processes can find each other and that access needs a credential.

    Raises:
        ConfigError: there is no bus, no credential, or a token that can be guessed.
    """
    where = str(config.source or "configuration")
    problems: list[ConfigProblem] = []
    if not config.bus.url:
        problems.append(
            ConfigProblem(where, "bus.url", "is empty, and separate processes need Redis", "write redis://host:6379")
        )
    if not config.services.token and not config.services.tls.enabled:
        problems.append(
            ConfigProblem(
                where,
                "services.token",
                "is empty, and so is services.tls",
                "make one with `openssl rand -hex 32`, the same for all processes",
            )
        )
    if config.services.token and _is_weak(config.services.token):
        what = f"is too easy to guess: it needs {MIN_TOKEN} characters, {MIN_LETTERS} of them different"
        problems.append(ConfigProblem(where, "services.token", what, "make one with `openssl rand -hex 32`"))
    if problems:
        raise ConfigError(problems)


def _is_weak(token: str) -> bool:
    return len(token) < MIN_TOKEN or len(set(token)) < MIN_LETTERS
