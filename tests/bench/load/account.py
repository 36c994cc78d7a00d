"""What processes cost: CPU seconds and proportional memory, from /proc; and what this machine is."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


class Account:
    """The processes to account for, with all their threads; of `trees` (a database server) also all descendants."""

    def __init__(self, pids: Sequence[int], trees: Sequence[int] = ()) -> None:
        self._pids, self._trees = tuple(pids), tuple(trees)
        self._seen: dict[tuple[int, str], float] = {}

    def add(self, tree: int) -> None:
        """Account for one more process and its descendants."""
        self._trees = (*self._trees, tree)

    @property
    def pids(self) -> tuple[int, ...]:
        """All of now."""
        found, rest = list(self._pids), list(self._trees)
        while rest:
            pid = rest.pop()
            found.append(pid)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    rest += map(int, children.read_text().split())
        return tuple(found)

    def cpu(self) -> float:
        """Seconds on the CPU so far, to the nanosecond; threads that ended since the last call keep what they had then.

        `/proc/PID/stat` counts ticks of 10 ms, which is more than a change may cost; it is read where the scheduler
        keeps no better account.
        """
        for pid in self.pids:
            try:
                for task in Path(f"/proc/{pid}/task").iterdir():
                    self._seen[pid, task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                self._seen[pid, ""] = (int(fields[11]) + int(fields[12])) / TICK
        return sum(self._seen.values())

    def pss(self) -> int:
        """Bytes of proportional memory."""
        total = 0
        for pid in self.pids:
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) << 10
        return total


def machine() -> dict[str, str]:
    """What was measured on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.processor(),
    )  # fmt: skip
    return {
        "cpu": f"{os.cpu_count()} x {cpu}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "calibration_ms": f"{calibrate() * 1000:.1f}",
    }


def calibrate() -> float:
    """CPU seconds of a fixed small load, by which figures of two machines can be compared."""
    import orjson
    import zstandard
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    cipher, compressor = ChaCha20Poly1305(bytes(32)), zstandard.ZstdCompressor(level=3)
    found = []
    for _ in range(5):
        start = time.thread_time()
        for n in range(1500):
            text = orjson.dumps(
                [{"ID": n, "Endpoints": ["192.0.2.1:41641"], "Online": True, "k": str(i)} for i in range(8)]
            )
            cipher.encrypt(n.to_bytes(12, "big"), compressor.compress(text), None)
        found.append(time.thread_time() - start)
    return median(found)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share stays below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
