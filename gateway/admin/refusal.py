"""Refusals of administration calls: a gRPC status with a text for people, which every wire translates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc
import grpc.aio


class Refused(Exception):  # noqa: N818  an answer to the caller, not a fault of this program
    """The call cannot be made as requested."""

    def __init__(self, code: grpc.StatusCode, text: str, *, retry_after: int = 0) -> None:
        """Refuse with a status; `retry_after` is in whole seconds, 0 where a retry at any time fails alike."""
        super().__init__(text)
        self.code = code
        self.retry_after = retry_after


class PreconditionFailed(Refused):
    """The policy in force differs from the version that the caller meant to replace."""

    def __init__(self) -> None:
        super().__init__(
            grpc.StatusCode.ABORTED,
            "the policy in force is not the one that the change was made from; read it again",
        )


def invalid(name: str, problem: str) -> Refused:
    """Refuse a parameter; `name` is the parameter's name in the contract."""
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, f"{name}: {problem}")


@contextlib.contextmanager
def ignore_not_found() -> Iterator[None]:
    """Ignore the NOT_FOUND of a service: a record that is already deleted need not be deleted."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
