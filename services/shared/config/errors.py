"""Errors of a configuration: every problem at once, each with its place and its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Found = tuple[str, str, str]
"""The result of a check: key, statement, remedy."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong with the configuration."""

    where: str
    """`file:line`, or the environment variable."""
    key: str
    """The key in dots; empty where the whole file is meant."""
    what: str
    remedy: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.where, self.key, f"{self.what} — {self.remedy}")))


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` holds every reason found, `warnings` what else was noticed."""

    def __init__(self, problems: Sequence[ConfigProblem], warnings: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)
        super().__init__("\n".join(str(problem) for problem in self.problems))
