"""The error for client requests that violate the protocol."""

from __future__ import annotations


class ClientRequestError(ValueError):
    """A malformed request. The message names the field and never repeats its value."""
