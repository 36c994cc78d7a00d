"""Tuning of memory: when Python collects cyclic garbage, and when the C library returns memory to the system.

Collections are rare, because our state has no cycles and is large.
A full collection visits every record of every node and stops the loop for it: with the defaults a tailnet of a thousand
nodes pauses for tens of milliseconds in the middle of a fan-out.
"""

from __future__ import annotations

import ctypes
import gc
import sys

THRESHOLDS = (10_000, 20, 50)
"""Net allocations of containers before a young collection; young ones before a middle one; those before a full one."""


def postpone() -> None:
    """Collect no garbage until `settle`: what a start allocates stays, and each collection would visit it again."""
    gc.disable()


def settle() -> None:
    """Call once when everything has started: collects once, and exempts what is left from all later collections."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.enable()


def give_back() -> None:
    """Return unused pages to the system after a burst: by itself glibc does so only at the end of its heap."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
