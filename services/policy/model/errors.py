"""Why a request of the policy service fails, as types. Documents that are refused raise `problems.PolicyError`."""

from __future__ import annotations


class PolicyServiceError(Exception):
    """Base of every failure that a caller is told about."""


class NotFoundError(PolicyServiceError):
    """There is no policy, or no such version."""


class FileModeError(PolicyServiceError):
    """The policy lives in a file and cannot be set from elsewhere."""


class TailnetUnknownError(PolicyServiceError):
    """The registry does not answer, so there are no users and nodes to check a policy against."""


class OvertakenError(PolicyServiceError):
    """Another policy came into force since the caller last looked."""
