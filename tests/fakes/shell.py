"""`headscale` as a person runs it: a process of its own, with what it prints and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Answer:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The output as JSON."""
        return json.loads(self.out)


class Shell:
    """Runs `headscale` as a person does."""

    def __init__(self, folder: Path, **env: str) -> None:
        self._folder = folder
        ours = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        self._env = {"HOME": str(folder), **ours, **env}

    async def __call__(self, *words: str, stdin: str = "") -> Answer:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *words),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=self._folder, env=self._env,
        )  # fmt: skip
        async with asyncio.timeout(60):
            out, err = await process.communicate(stdin.encode())
        assert b"Traceback" not in err, err.decode()
        return Answer(process.returncode or 0, out.decode(), err.decode())

    async def ok(self, *words: str) -> Any:
        """Run with JSON output in the shape of the REST API; it must succeed."""
        answer = await self(*words, "-o", "json", "--modern")
        assert answer.status == 0, answer.err
        return answer.data
