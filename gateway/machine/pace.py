"""Rate limits of one machine: map sessions, registrations, SSH requests and reports. The clock is an argument.

Map sessions, registrations and SSH requests beyond the rate are refused with the time to wait. A report is never
refused for its rate: it waits in the report queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from gateway.machine.metrics import MachineMetrics
from gateway.machine.refusal import Refusal
from gateway.machine.report_queue import ReportQueue
from services.shared.keys import MachineKey
from services.shared.rate import Buckets, buckets_of

What = Literal["map", "register", "ssh"]
ATTEMPT_BURST_SECONDS = 15
REPORT_BURST_SECONDS = 10
SSH_FACTOR = 5
"""SSH requests per reconnect: a script may open SSH sessions faster than a machine has reason to reconnect."""
CAPACITY = 1 << 17
"""Machines that are remembered; the least recently seen is forgotten first."""


class Pace:
    """The rates of each machine; zero per second means no limit."""

    def __init__(
        self,
        attempts_per_second: float,
        reports_per_second: float,
        metrics: MachineMetrics,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics, self._now = metrics, now
        self._attempts: dict[What, Buckets | None] = {
            "map": buckets_of(attempts_per_second, ATTEMPT_BURST_SECONDS, CAPACITY),
            "register": buckets_of(attempts_per_second, ATTEMPT_BURST_SECONDS, CAPACITY),
            "ssh": buckets_of(attempts_per_second * SSH_FACTOR, ATTEMPT_BURST_SECONDS, CAPACITY),
        }
        self.reports = ReportQueue(buckets_of(reports_per_second, REPORT_BURST_SECONDS, CAPACITY), now)

    def refuses(self, what: What, machine: MachineKey) -> Refusal | None:
        """Count an attempt. Returns its refusal if there were too many; it is then not counted."""
        buckets = self._attempts[what]
        if buckets is None:
            return None
        now = self._now()
        if wait := buckets.wait(machine, now):
            self._metrics.limited.labels(what).inc()
            return Refusal(429, f"too many requests of this machine, try again in {wait} s", retry_after=wait)
        buckets.take(machine, now)
        return None
