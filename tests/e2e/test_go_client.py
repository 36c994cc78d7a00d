"""The published Go client of the hosted service works unchanged with only its base URL set."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.flow.rest_v2.conftest import World, world

__all__ = ["world"]

MODULE = Path(__file__).with_name("goclient")
GO = shutil.which("go")
BUILD, RUN = 600, 120
"""Seconds."""


async def run(*words: str, seconds: int, **environment: str) -> tuple[int, str]:
    """Run a program in the folder of the module. Returns its status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=MODULE,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(seconds):
        printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode(errors="replace")


@pytest.mark.skipif(GO is None, reason="the program go is not installed")
async def test_the_go_client_round_trips_every_resource(world: World, tmp_path: Path) -> None:
    program = str(tmp_path / "goclient.test")
    status, printed = await run(str(GO), "test", "-c", "-o", program, ".", seconds=BUILD)
    assert status == 0, printed
    status, printed = await run(program, "-test.v", seconds=RUN, BASE_URL=world.tailnet.url, API_KEY=world.key)
    assert status == 0, printed
    assert printed.count("--- PASS") == 5, printed
