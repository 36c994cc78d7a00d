"""What a provider's groups are called here: Entra sends ids, Keycloak paths, Kanidm names with a host. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MAX_NAME = 256
RESERVED = "namespace:"
"""How groups begin that stand for what a claim says people belong to; no provider's group may."""


@dataclass(frozen=True, slots=True)
class GroupNames:
    """The names of one provider's groups and ours."""

    rename: Mapping[str, str] = field(default_factory=dict)
    """Whole names; an empty one of ours drops the group."""
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    """Those that match a whole name, the first counts; an empty name of ours drops the group."""
    prefix: str = ""
    """Put before names that neither changed."""

    def ours(self, theirs: Iterable[str]) -> tuple[str, ...]:
        """Our names for a provider's, sorted, each once; names that got too long are left out."""
        named = {self._one(name) for name in theirs}
        return tuple(sorted(name for name in named if 0 < len(name) <= MAX_NAME and not name.startswith(RESERVED)))

    def _one(self, name: str) -> str:
        if name in self.rename:
            return self.rename[name]
        for pattern, template in self.patterns:
            if (match := pattern.fullmatch(name)) is not None:
                return match.expand(template)
        return self.prefix + name


def read_patterns(patterns: Mapping[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compile what the configuration checked.

    Raises:
        ValueError: one is no regular expression.
    """
    try:
        return tuple((re.compile(pattern), name) for pattern, name in patterns.items())
    except re.error as error:
        raise ValueError(f"a pattern is no regular expression: {error}") from None
