"""Translation of typed exceptions to gRPC status, by a table on the servicer class. Sends no traceback.

    @answers({NotFound: StatusCode.NOT_FOUND, Conflict: StatusCode.ALREADY_EXISTS})
    class RegistryServicer(pb_grpc.RegistryServiceServicer): ...

Every public CamelCase method of the class is wrapped. An exception of the table ends the call with its status and its
text; any other one ends it with INTERNAL and "internal error", and is logged here with its traceback.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Never, TypeVar, cast

import grpc
import grpc.aio

from services.shared.db.unavailable import DatabaseUnavailableError
from services.shared.rpc.calling import Context
from services.shared.rpc.identity import NoIdentityError
from services.shared.rpc.pipe import PipeClosedError
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

C = TypeVar("C", bound=type)
ErrorTable = Mapping[type[Exception], grpc.StatusCode]
Method = Callable[[object, object, Context], object]

_ALWAYS: ErrorTable = {
    NoIdentityError: grpc.StatusCode.UNAUTHENTICATED,
    DatabaseUnavailableError: grpc.StatusCode.UNAVAILABLE,
}
_PASS = (asyncio.CancelledError, grpc.aio.AbortError, PipeClosedError, GeneratorExit)


def answers(table: ErrorTable) -> Callable[[C], C]:
    """Return a class decorator that maps exceptions of RPC methods to status codes; the nearest base class wins."""
    whole: ErrorTable = {**_ALWAYS, **table}

    def decorate(servicer: C) -> C:
        for name, method in vars(servicer).copy().items():
            if name[:1].isupper() and callable(method):
                setattr(servicer, name, _guard(method, name, whole))
        return servicer

    return decorate


def _guard(method: Method, name: str, table: ErrorTable) -> Method:
    if inspect.isasyncgenfunction(method):

        @functools.wraps(method)
        async def stream(self: object, request: object, context: Context) -> AsyncIterator[object]:
            responses = cast("AsyncGenerator[object]", method(self, request, context))
            try:
                async for response in responses:
                    yield response
            except _PASS:
                raise
            except Exception as error:
                await _abort(context, error, name, table)
            finally:
                await responses.aclose()

        return stream

    @functools.wraps(method)
    async def unary(self: object, request: object, context: Context) -> object:
        try:
            return await cast("Awaitable[object]", method(self, request, context))
        except _PASS:
            raise
        except Exception as error:
            await _abort(context, error, name, table)

    return unary


async def _abort(context: Context, error: Exception, name: str, table: ErrorTable) -> Never:
    if isinstance(error, grpc.aio.AioRpcError):
        # A called service refused or is unavailable: pass on its status and its text, which is meant for callers.
        await context.abort(error.code(), error.details() or "")
    for base in type(error).__mro__:
        if base in table:
            await context.abort(table[base], str(error))
    log.exception("rpc failed", method=name)
    await context.abort(grpc.StatusCode.INTERNAL, "internal error")
    raise AssertionError("abort returned")
