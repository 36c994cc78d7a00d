"""What a use case can refuse. Each class becomes one status code at the border; texts never repeat secrets."""

from __future__ import annotations


class RegistryError(Exception):
    """A refusal with a text for the caller."""


class InvalidInputError(RegistryError):
    """A field has a value that can never be accepted."""


class NotFoundError(RegistryError):
    """The named thing does not exist."""


class AlreadyExistsError(RegistryError):
    """Something else holds a value that must be unique."""


class ForbiddenError(RegistryError):
    """The caller is not who it must be for this."""


class PreconditionError(RegistryError):
    """The state of the tailnet does not allow it."""


class ExhaustedError(RegistryError):
    """Nothing is left to give: addresses, names, or room."""


class UnavailableError(RegistryError):
    """The database or this replica cannot serve now; trying again may work."""
