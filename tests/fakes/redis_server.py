"""A throwaway Redis of the test's own, on a free port, that can be cut off and restarted."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

PROGRAM = shutil.which("redis-server")


class RedisServer:
    """One `redis-server` process without persistence."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        """Start it and wait until it answers."""
        assert PROGRAM is not None
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self._process = await asyncio.create_subprocess_exec(
            PROGRAM, *options, "--dir", str(self._folder), stdout=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(10), Redis.from_url(self.url) as client:
            while True:
                try:
                    await client.ping()
                except (RedisError, OSError):
                    await asyncio.sleep(0.01)
                else:
                    return

    async def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()
            self._process = None

    async def cut_subscribers(self) -> None:
        """Close the connections of all who subscribe."""
        async with Redis.from_url(self.url) as client:
            await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
