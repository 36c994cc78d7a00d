"""SIGHUP for several listeners: a loop has one handler for a signal, and embedded several services listen to it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

Listener = Callable[[], None]


@dataclass(slots=True)
class _Hearing:
    """The listeners of one loop, and whether there was a signal since the first of them."""

    listeners: list[Listener] = field(default_factory=list)
    arrived: bool = False

    def call(self) -> None:
        self.arrived = True
        for listener in tuple(self.listeners):
            listener()


_hearings: WeakKeyDictionary[asyncio.AbstractEventLoop, _Hearing] = WeakKeyDictionary()


def listen(listener: Listener, *, include_missed: bool = False) -> Callable[[], None]:
    """Call a listener at each SIGHUP of this process, in the running loop. Returns a function that ends that.

    With `include_missed` it is called at once if there was a signal since the loop has had another listener. On a
    platform without the signal, or in a thread that does not get it, the listener is never called.
    """
    loop = asyncio.get_running_loop()
    hearing = _hearings.setdefault(loop, _Hearing())
    hearing.listeners.append(listener)
    if len(hearing.listeners) == 1:
        hearing.arrived = False
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(signal.SIGHUP, hearing.call)
    elif include_missed and hearing.arrived:
        listener()

    def stop() -> None:
        with suppress(ValueError):
            hearing.listeners.remove(listener)
        if not hearing.listeners:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(signal.SIGHUP)

    return stop
