"""`headscale audit tail` prints changes as they are made, until it is interrupted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from headscale.v1 import user_pb2

from tests.fakes.tailnet import config_in, tailnet_in

TAIL = ("audit", "tail")
SECONDS = 60


async def test_entries_are_printed_as_they_are_made_and_only_new_ones(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path, config_in(tmp_path, admin_calls_per_second=10_000)) as tailnet:
        await tailnet.user("before")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", *TAIL),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HEADSCALE_UNIX_SOCKET": str(tmp_path / "admin.sock")},
        )
        assert process.stdout is not None
        printed = asyncio.ensure_future(process.stdout.readline())
        made: set[str] = set()
        async with asyncio.timeout(SECONDS):
            while not printed.done():  # what is made before its first question is not new to it
                made.add(f"user{len(made)}")
                await tailnet.admin.CreateUser(user_pb2.CreateUserRequest(name=f"user{len(made) - 1}"))
                await asyncio.wait({printed}, timeout=0.5)
        entry = json.loads(printed.result())
        assert json.loads(entry["newValue"])["name"] in made
        assert (entry["targetType"], entry["action"], entry["result"]) == ("USER", "CREATE", "OK")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(SECONDS):
            _, errors = await process.communicate()
        assert (process.returncode, errors) == (130, b"")


async def test_a_word_too_many_is_refused() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", *TAIL, "x"), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(SECONDS):
        printed, errors = await process.communicate()
    assert (process.returncode, printed) == (2, b"")
    assert b"unexpected argument" in errors
