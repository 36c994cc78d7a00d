"""Waiting for a condition with a deadline, which is how tests here spend time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
STARTUP = 120.0
"""Seconds that programs of ours may take to start. It bounds a hang and judges nothing: a start costs seconds of CPU,
and a machine that runs other work may share out few of them."""


def wait_for(what: str, probe: Callable[[], T | None], deadline: float = 30.0, every: float = 0.03) -> T:
    """Poll until `probe` returns something true.

    Raises:
        AssertionError: it never did; the text names `what`.
    """
    end = time.monotonic() + deadline
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:g} s: {what}")
        time.sleep(every)
