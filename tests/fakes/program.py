"""The server as operators start it: the program, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.ports import free_port


@asynccontextmanager
async def headscale(folder: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program with the configuration of a folder; killed at the end if it has not ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "-c", str(folder / "config.yaml"), *words),
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def write_config(folder: Path, port: int) -> None:
    """A configuration of one process whose gateway listens on this port, and all else on ports that are free."""
    derp, stun = free_port(), free_port()
    (folder / "config.yaml").write_text(
        f"server_url: http://127.0.0.1:{port}\nlisten_addr: 127.0.0.1:{port}\nmetrics_listen_addr: 127.0.0.1:0\n"
        "state_dir: ./state\nderp:\n  server:\n"
        f"    listen_addr: 127.0.0.1:{derp}\n    stun_listen_addr: 127.0.0.1:{stun}\n"
    )
