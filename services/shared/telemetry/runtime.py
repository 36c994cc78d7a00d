"""Debug pages of every process: configuration, memory and tasks, in place of Go's pprof and statsviz."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from services.shared.config.model import Config
from services.shared.config.showing import shown
from services.shared.telemetry.pages import Document, Pages, Parameters

_STARTED = time.monotonic()
_MAX_TASKS = 500
_GO = "this is no Go program; /debug/runtime shows memory and collections, /debug/tasks what runs"


def add_pages(pages: Pages, config: Config, processes: str) -> None:
    """Add the pages of a process that runs these services."""

    async def configuration(_: Parameters) -> Document:
        return shown(config)

    async def runtime(_: Parameters) -> Document:
        return {"processes": processes, **_runtime()}

    async def tasks(_: Parameters) -> Document:
        return _tasks()

    pages.add("config", "The configuration in force, secrets masked.", configuration)
    pages.add("runtime", "Memory, collections, threads and files of this process.", runtime)
    pages.add("tasks", "What the event loop runs, and where each task stands.", tasks)
    for name in ("pprof", "statsviz", "vars", "varz", "gc"):
        pages.replace(name, _GO)


def _runtime() -> Document:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "uptime_seconds": round(time.monotonic() - _STARTED, 1),
        "cpu_seconds": {"user": round(usage.ru_utime, 2), "system": round(usage.ru_stime, 2)},
        "resident_bytes": _resident(),
        "largest_resident_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "threads": [thread.name for thread in threading.enumerate()],
        "open_files": _open_files(),
        "tasks": len(asyncio.all_tasks()),
        "collector": {
            "enabled": gc.isenabled(),
            "thresholds": list(gc.get_threshold()),
            "frozen_objects": gc.get_freeze_count(),
            "generations": [dict(each) for each in gc.get_stats()],
        },
    }


def _resident() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize()


def _open_files() -> int | None:
    try:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  only their number is wanted
    except OSError:
        return None


def _tasks() -> Document:
    places: Counter[tuple[str, str]] = Counter()
    for task in asyncio.all_tasks():
        frames = task.get_stack(limit=1)
        where = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else ""
        name = task.get_name()
        places["" if name.startswith("Task-") else name, where] += 1
    return {
        "tasks": sum(places.values()),
        "places": [
            {"number": number, "name": name, "at": where} for (name, where), number in places.most_common(_MAX_TASKS)
        ],
    }
