"""What a sign-in left out of a provider's documents without failing. The log, the page and the doctor show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClaimNotice:
    """A claim, or a part of it, that was not used."""

    claim: str
    """Its name at the provider."""
    text: str
    """What was left out and why, for people; repeats no value that the provider marks as unverified."""
    remedy: str
    """What to change, and where; `{key}` stands for the provider's section of the configuration."""

    def remedy_for(self, key: str) -> str:
        """Return the remedy with the section that it applies to, such as `oidc` or `oidc.providers.NAME`."""
        return self.remedy.replace("{key}", key)
