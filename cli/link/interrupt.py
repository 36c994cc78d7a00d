"""Ends a command at Ctrl-C while it talks to a server.

A KeyboardInterrupt would be raised wherever Python happens to be. Raised in a destructor or a callback of gRPC it is
printed and forgotten, and the command waits on until its call fails. Nothing of ours needs to be undone between calls,
so the process ends in the signal handler itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130
"""The exit status that shells give a command ended by SIGINT."""


def end_at_interrupt() -> None:
    """Let SIGINT end the process with status 130, unless it is ignored or has another handler than Python's."""
    _replace(signal.default_int_handler, _end)


def raise_at_interrupt() -> None:
    """Let SIGINT raise KeyboardInterrupt again."""
    _replace(_end, signal.default_int_handler)


def _replace(present: Callable[[int, FrameType | None], None], wanted: Callable[[int, FrameType | None], None]) -> None:
    in_main = threading.current_thread() is threading.main_thread()  # only there may handlers be set
    if in_main and signal.getsignal(signal.SIGINT) is present:
        signal.signal(signal.SIGINT, wanted)


def _end(_number: int, _frame: FrameType | None) -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), b"\r\x1b[K")  # a line that shows progress
    os._exit(INTERRUPTED)
