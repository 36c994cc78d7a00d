"""A worker's socket to its supervisor: its end means that the supervisor has ended; readiness is reported over it.

It is a socket at standard input. The kernel closes the other end however that process ends, so a worker never stays
behind alone.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress

READY = b"r"


class Lifeline:
    """Our end of it."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        line.setblocking(False)

    @classmethod
    def at_standard_input(cls) -> Lifeline:
        """Return the lifeline that a supervisor passed to this process.

        Raises:
            OSError: standard input is no socket, so this process has no supervisor.
        """
        return cls(socket.socket(fileno=os.dup(0)))

    def hold(self, gone: Callable[[], None]) -> None:
        """Call when the other end is gone, once, in the running loop."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            try:
                said = self._line.recv(64)
            except BlockingIOError:
                return
            except OSError:
                said = b""
            if not said:
                loop.remove_reader(self._line)
                gone()

        loop.add_reader(self._line, heard)

    def ready(self) -> None:
        """Say that we are."""
        with suppress(OSError):  # the supervisor has ended: `hold` reports it
            self._line.send(READY)
