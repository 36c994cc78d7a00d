"""Failures of calls to services as exception types, made from gRPC status. Decides nothing."""

from __future__ import annotations

from typing import Never

import grpc
import grpc.aio


class ServiceError(Exception):
    """A call did not succeed; the text is the service's and safe to show."""


class UnknownNode(ServiceError):  # noqa: N818  an answer to clients, not an error of this program
    """No node, login or key has this name."""


class WrongMachine(ServiceError):  # noqa: N818
    """The node key belongs to another machine."""


class Malformed(ServiceError):  # noqa: N818
    """The request is invalid."""


class Overloaded(ServiceError):  # noqa: N818
    """Too many requests are under way; try again."""


class Unavailable(ServiceError):  # noqa: N818
    """The service is unreachable, did not answer in time, or failed."""


_KINDS: dict[grpc.StatusCode, type[ServiceError]] = {
    grpc.StatusCode.NOT_FOUND: UnknownNode,
    grpc.StatusCode.PERMISSION_DENIED: WrongMachine,
    grpc.StatusCode.INVALID_ARGUMENT: Malformed,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
}


def raise_failure(error: grpc.aio.AioRpcError) -> Never:
    """Raise the type of this module that stands for a gRPC status."""
    kind = _KINDS.get(error.code(), Unavailable)
    raise kind(error.details() or error.code().name.lower().replace("_", " ")) from None
