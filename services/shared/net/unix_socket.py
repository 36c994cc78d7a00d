"""Whether a server listens at a unix socket, found by connecting. Makes and removes no socket."""

from __future__ import annotations

import socket
from pathlib import Path


def is_served(path: Path) -> bool:
    """Return whether a server listens at a unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # its queue is full, so a server has it
            return True
        except OSError:
            return False
    return True
