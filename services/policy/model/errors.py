"""Exceptions of the policy service's requests. Refused documents raise `problems.PolicyError` instead."""

from __future__ import annotations


class PolicyServiceError(Exception):
    """Base of every failure that is reported to a caller."""


class NotFoundError(PolicyServiceError):
    """There is no policy, or no such version."""


class FileModeError(PolicyServiceError):
    """The policy is read from a file, so it cannot be set by a request."""


class TailnetUnknownError(PolicyServiceError):
    """The registry does not respond, so there are no users and nodes to check a policy against."""


class OvertakenError(PolicyServiceError):
    """Another policy came into force since the caller read it (`if_match` does not match)."""
