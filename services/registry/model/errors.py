"""Errors of the use cases. `rpc` maps each class to one gRPC status; texts never repeat secrets."""

from __future__ import annotations


class RegistryError(Exception):
    """Base of all errors with a text for the caller."""


class InvalidInputError(RegistryError):
    """A field has an invalid value."""


class NotFoundError(RegistryError):
    """The named thing does not exist."""


class AlreadyExistsError(RegistryError):
    """A value that must be unique is in use."""


class ForbiddenError(RegistryError):
    """The caller may not do this."""


class PreconditionError(RegistryError):
    """The state of the tailnet does not allow it."""


class ExhaustedError(RegistryError):
    """No address, name or room is left."""


class UnavailableError(RegistryError):
    """The database or this replica cannot serve now; trying again may work."""
