"""Translates a provider's group names to ours: Entra ID sends object ids, Keycloak paths, Kanidm names with a host."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

MAX_NAME = 256
MAX_GROUPS = 1000
"""Maximum number of groups stored for one identity, as in the registry."""
RESERVED = "namespace:"
"""Prefix of groups that represent a namespace claim; a provider's own group may not have it."""


@dataclass(frozen=True, slots=True)
class GroupNames:
    """The mapping from one provider's group names to ours."""

    rename: Mapping[str, str] = field(default_factory=dict)
    """Whole names; mapped to an empty one, the group is dropped."""
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    """Regular expressions that match a whole name, the first counts; mapped to an empty one, the group is dropped."""
    prefix: str = ""
    """Prefix of names that neither mapping changed."""

    def translate(self, sent: Iterable[str]) -> tuple[str, ...]:
        """Return our names for a provider's groups, sorted, each once. Names longer than `MAX_NAME` are left out."""
        named = {self._one(name) for name in sent}
        return tuple(sorted(name for name in named if 0 < len(name) <= MAX_NAME and not name.startswith(RESERVED)))

    def _one(self, name: str) -> str:
        if name in self.rename:
            return self.rename[name]
        for pattern, template in self.patterns:
            if (match := pattern.fullmatch(name)) is not None:
                return match.expand(template)
        return self.prefix + name


def within_limit(groups: tuple[str, ...], needed: Collection[str]) -> tuple[str, ...]:
    """Return at most `MAX_GROUPS` groups, sorted: those named in the configuration take precedence."""
    if len(groups) <= MAX_GROUPS:
        return groups
    return tuple(sorted(sorted(groups, key=lambda name: (name not in needed, name))[:MAX_GROUPS]))


def similar_names(sent: Iterable[str], wanted: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs (sent, wanted) that differ only in case, in a path before the name, or in a host after an @."""

    def bare(name: str) -> str:
        return name.rpartition("/")[2].partition("@")[0].casefold()

    present = set(sent)
    by_bare: dict[str, list[str]] = {}
    for name in sorted(present):
        by_bare.setdefault(bare(name), []).append(name)
    return [(name, want) for want in wanted if want not in present for name in by_bare.get(bare(want), ())]


def read_patterns(patterns: Mapping[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compile the patterns of the configuration.

    Raises:
        ValueError: one is not a regular expression.
    """
    try:
        return tuple((re.compile(pattern), name) for pattern, name in patterns.items())
    except re.error as error:
        raise ValueError(f"a pattern is no regular expression: {error}") from None
