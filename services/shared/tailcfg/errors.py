"""The refusal of a request whose text is not what the protocol says."""

from __future__ import annotations


class BadRequestError(ValueError):
    """The request cannot be read; the message names the field and never repeats what was sent."""
