"""Shows on a terminal that a call takes long; prints nothing elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

_QUIET = 0.4
_FRAMES = "|/-\\"


def watched() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr.isatty()


def wait(call: Any, where: str, timeout_error: type[Exception]) -> Any:
    """Return the result of a started gRPC call, showing on the terminal that it waits, after half a second.

    Raises:
        grpc.RpcError: the call failed.
    """
    began = time.monotonic()
    shown = 0
    try:
        while True:
            try:
                return call.result(timeout=_QUIET / 2 if shown else _QUIET)
            except timeout_error:
                spent = time.monotonic() - began
                sys.stderr.write(f"\r{_FRAMES[shown % 4]} waiting for {where}, {spent:.0f} s ")
                sys.stderr.flush()
                shown += 1
    except BaseException:
        call.cancel()
        raise
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class Counter:
    """Shows how much of a list has arrived, after half a second, and only on a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began = time.monotonic()
        self._watched = watched()
        self._shown = False

    def __enter__(self) -> Counter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def arrived(self, count: int, total: int) -> None:
        """Report that `count` of `total` items have arrived."""
        if not self._watched or time.monotonic() - self._began < _QUIET:
            return
        self._shown = True
        sys.stderr.write(f"\r{count:,} of {total:,} {self._what} ")
        sys.stderr.flush()
