"""Watches the policy file: passes its text to the use cases at start, on request, and when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.policy.model.text.tree import MAX_TEXT
from services.shared.telemetry import get_logger

log = get_logger(__name__)

INTERVAL = 1.0
"""Seconds between two checks of the file."""

Take = Callable[[str, str], Awaitable[bool]]
"""Callback with a text and the file's name. Returns False to be called again later."""

_Mark = tuple[int, int, int]


class PolicyFile:
    """The policy file: passes on its text when it may have changed, and reports an unreadable file."""

    def __init__(
        self,
        path: Path,
        take: Take,
        trouble: Callable[[str], Awaitable[None]],
        interval: float = INTERVAL,
    ) -> None:
        self._path = path
        self._take = take
        self._trouble = trouble
        self._interval = interval
        self._seen: _Mark | None = None
        self._reading = asyncio.Lock()

    async def reload(self, take: Take | None = None) -> bool:
        """Read the file and pass its text to `take`, by default the object's own. Returns the result of `take`."""
        async with self._reading:
            try:
                self._seen, text = await asyncio.to_thread(self._read)
            except (OSError, ValueError) as error:
                self._seen = None
                await self._trouble(f"{self._path}: {_reason(error)}")
                return True
            return await (take or self._take)(text, str(self._path))

    async def watch(self) -> None:
        """Read the file again whenever its time, size or identity changed; never returns."""
        known = self._seen
        while True:
            await asyncio.sleep(self._interval)
            mark = await asyncio.to_thread(self._mark)
            if mark in (known, self._seen):
                known = self._seen if mark == self._seen else known
                continue
            known = mark
            try:
                if not await self.reload():
                    known = self._seen = None
            except Exception:
                log.exception("reading the policy file failed")
                known = None

    def _mark(self) -> _Mark | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[_Mark | None, str]:
        mark = self._mark()
        with self._path.open("rb") as file:
            data = file.read(4 * MAX_TEXT + 1)
        return mark, data.decode("utf-8")


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it cannot be read"
