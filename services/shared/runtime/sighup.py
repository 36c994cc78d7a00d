"""SIGHUP for several listeners: a loop has one handler for a signal, and embedded several services want to hear it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

Listener = Callable[[], None]

_listeners: WeakKeyDictionary[asyncio.AbstractEventLoop, list[Listener]] = WeakKeyDictionary()


def listen(listener: Listener) -> Callable[[], None]:
    """Call a listener at each SIGHUP of this process, in the running loop; returns what ends that.

    Where there is no such signal, or this thread is not the one that gets it, nothing is ever called.
    """
    loop = asyncio.get_running_loop()
    listeners = _listeners.setdefault(loop, [])
    listeners.append(listener)
    if len(listeners) == 1:
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGHUP, _call, listeners)

    def stop() -> None:
        with suppress(ValueError):
            listeners.remove(listener)
        if not listeners:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(signal.SIGHUP)

    return stop


def _call(listeners: list[Listener]) -> None:
    for listener in tuple(listeners):
        listener()
