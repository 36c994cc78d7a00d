"""Keeps worker processes alive: starts them, restarts those that die, and ends after all of them.

It serves nothing itself. Each worker's standard input is a socket to the supervisor: the worker writes to it when it is
ready, and its end shows the worker that the supervisor has ended.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE, LONG_LIFE = 0.25, 30.0, 60.0


class Pauses:
    """Pauses before a worker is started again: doubled after each death, reset by a life of a minute."""

    def __init__(self) -> None:
        self._next = FIRST_PAUSE

    def after(self, lived: float) -> float:
        """Return the seconds to wait after a worker that lived for `lived` seconds."""
        if lived >= LONG_LIFE:
            self._next = FIRST_PAUSE
        pause, self._next = self._next, min(2 * self._next, LONGEST_PAUSE)
        return pause


class _Worker:
    """One process of a worker, from start to exit."""

    def __init__(self, process: asyncio.subprocess.Process, line: socket.socket) -> None:
        self.process = process
        self.line = line
        self.ready = False
        self.reload_when_ready = False

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


class Supervisor:
    """Starts the workers and keeps them alive. `command` returns the program of a worker by its number, from 1."""

    def __init__(self, command: Callable[[int], Sequence[str]], count: int, patience: float) -> None:
        self._command = command
        self._count = count
        self._patience = patience
        self._workers: dict[int, _Worker] = {}
        self._were_ready: set[int] = set()
        self._stopping = asyncio.Event()
        self._status = 0

    @property
    def pids(self) -> dict[int, int]:
        """Process ids of the running workers, by worker number."""
        return {number: worker.process.pid for number, worker in self._workers.items()}

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT. Returns the exit status: 0 if all workers started, and ended as requested."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        await asyncio.gather(*(self._keep(number) for number in range(1, self._count + 1)))
        return self._status

    def stop(self) -> None:
        """Send SIGTERM to all workers, and SIGKILL to those that do not end within `patience` seconds."""
        if self._stopping.is_set():
            return
        log.info("stopping", workers=len(self._workers))
        self._stopping.set()
        for worker in self._workers.values():
            worker.send(signal.SIGTERM)
        asyncio.get_running_loop().call_later(self._patience, self._kill)

    def reload(self) -> None:
        """Send SIGHUP to all workers. One that is not ready yet would die of it, so it gets the signal once it is."""
        for worker in self._workers.values():
            if worker.ready:
                worker.send(signal.SIGHUP)
            else:
                worker.reload_when_ready = True

    def _kill(self) -> None:
        for number, worker in self._workers.items():
            log.error("worker does not end, killing it", worker=number, pid=worker.process.pid)
            worker.send(signal.SIGKILL)

    async def _keep(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        pauses = Pauses()
        while not self._stopping.is_set():
            began = loop.time()
            ended = await self._live(number)
            if self._stopping.is_set():
                # A worker that is not ready yet has no handler, so SIGTERM ends it by the signal.
                if ended not in (0, -signal.SIGTERM):
                    log.error("worker ended with an error", worker=number, status=_status_text(ended))
                    self._status = 1
            elif ended > 0 and number not in self._were_ready:
                log.error("worker cannot start", worker=number, status=_status_text(ended))
                self._status = 1
                self.stop()
            else:
                pause = pauses.after(loop.time() - began)
                log.error("worker ended, starting it again", worker=number, status=_status_text(ended), seconds=pause)
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._stopping.wait()

    async def _live(self, number: int) -> int:
        """Run a worker once. Returns its exit status, or the negative number of the signal that ended it."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            try:
                # A process group of its own: Ctrl-C on a terminal reaches the supervisor alone, which sends SIGTERM.
                process = await asyncio.create_subprocess_exec(
                    *self._command(number), stdin=theirs.fileno(), process_group=0
                )
            except OSError as error:
                log.error("worker process not started", worker=number, reason=str(error))
                return 1
            theirs.close()
            worker = self._workers[number] = _Worker(process, ours)
            if self._stopping.is_set():
                worker.send(signal.SIGTERM)
            loop = asyncio.get_running_loop()
            loop.add_reader(ours, self._mark_ready, number, worker)
            try:
                return await process.wait()
            finally:
                del self._workers[number]
                loop.remove_reader(ours)

    def _mark_ready(self, number: int, worker: _Worker) -> None:
        """Read the byte that a worker sends when it is ready; the end of its socket means nothing."""
        asyncio.get_running_loop().remove_reader(worker.line)
        with suppress(OSError):
            if not worker.line.recv(1):
                return
            worker.ready = True
            log.info("worker is ready", worker=number, pid=worker.process.pid)
            if worker.reload_when_ready:
                worker.send(signal.SIGHUP)
            before = len(self._were_ready)
            self._were_ready.add(number)
            if before < len(self._were_ready) == self._count:
                log.info("ready", workers=self._count)


def _status_text(status: int) -> str:
    return str(status) if status >= 0 else signal.Signals(-status).name
