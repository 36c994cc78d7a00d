"""What a call to a service may end with other than an answer, as types. Knows gRPC status; decides nothing."""

from __future__ import annotations

from typing import Never

import grpc
import grpc.aio


class ServiceError(Exception):
    """A call did not succeed; the text is the service's and safe to show."""


class UnknownNode(ServiceError):  # noqa: N818  a refusal that clients hear of, not a bug of ours
    """No node, login or key has this name."""


class WrongMachine(ServiceError):  # noqa: N818
    """The node key belongs to another machine."""


class Malformed(ServiceError):  # noqa: N818
    """The request says something that cannot be."""


class Overloaded(ServiceError):  # noqa: N818
    """Too much is under way; come again."""


class Unavailable(ServiceError):  # noqa: N818
    """The service is not there, did not answer in time, or failed inside."""


_KINDS: dict[grpc.StatusCode, type[ServiceError]] = {
    grpc.StatusCode.NOT_FOUND: UnknownNode,
    grpc.StatusCode.PERMISSION_DENIED: WrongMachine,
    grpc.StatusCode.INVALID_ARGUMENT: Malformed,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
}


def raise_failure(error: grpc.aio.AioRpcError) -> Never:
    """Turn a gRPC status into one of the types of this module."""
    kind = _KINDS.get(error.code(), Unavailable)
    raise kind(error.details() or error.code().name.lower().replace("_", " ")) from None
