"""Metrics of a process that has loaded nothing else of the library, as when the first reader of a server comes."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

PROGRAM = dedent(
    """
    import asyncio
    from services.shared.telemetry.instruments import CollectorRegistry, Counter
    from services.shared.telemetry.exposition import Exposition

    async def main():
        registry, sent = CollectorRegistry(), []
        Counter("asked", "Questions.", registry=registry).inc()
        scope = {"type": "http", "method": "GET", "path": "/metrics", "query_string": b"", "client": ("127.0.0.1", 1),
                 "headers": [(b"host", b"127.0.0.1:9090")]}
        async def send(message):
            sent.append(message)
        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}
        await Exposition(registry)(scope, receive, send)
        print(sent[0]["status"], sent[1]["body"].decode())

    asyncio.run(main())
    """
)


def test_the_first_reader_of_a_process_gets_its_metrics() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("200 ") and "asked_total 1.0" in done.stdout
