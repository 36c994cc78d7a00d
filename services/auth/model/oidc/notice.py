"""Notices: claims that a sign-in did not use, without failing. The log, the page and the doctor show them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClaimNotice:
    """A claim, or a part of it, that was not used."""

    claim: str
    """Its name at the provider."""
    text: str
    """The part that was not used and why, for people; repeats no value that the provider marks as unverified."""
    remedy: str
    """The remedy; `{key}` is replaced by the provider's section of the configuration."""

    def remedy_for(self, key: str) -> str:
        """Return the remedy with the section that it applies to, such as `oidc` or `oidc.providers.NAME`."""
        return self.remedy.replace("{key}", key)
