"""The command line on a terminal, and before a server that never answers."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import struct
import termios
from collections.abc import AsyncIterator
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.fakes.tailnet import Tailnet, tailnet_in
from tests.flow.cli.world import PROGRAM

ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


async def on_terminal(folder: Path, *words: str, typed: str = "", columns: int = 80, **env: str) -> tuple[int, str]:
    """Run on a terminal of a width; the exit status and all that it showed."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    known = {"HOME": str(folder), "PATH": os.environ["PATH"], "TERM": "xterm"}
    socket = {"HEADSCALE_UNIX_SOCKET": str(folder / "admin.sock")}
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), *words, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env={**known, **socket, **env}
    )
    os.close(theirs)
    reading = asyncio.create_task(asyncio.to_thread(read_all, ours))
    os.write(ours, typed.encode())
    async with asyncio.timeout(60):
        status = await process.wait()
        shown = await reading
    os.close(ours)
    return status, shown.replace("\r\n", "\n")


def read_all(terminal: int) -> str:
    shown = b""
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # Linux's way to say that the other end is closed
            return shown.decode()
        if not data:
            return shown.decode()
        shown += data


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        user = await running.user("alice")
        await running.device("a-device-with-quite-a-long-name").join(await running.auth_key(user))
        yield running


async def test_a_table_fits_the_terminal_and_has_colours_unless_they_are_not_wanted(
    tailnet: Tailnet, tmp_path: Path
) -> None:
    status, shown = await on_terminal(tmp_path, "nodes", "list", columns=80)
    assert status == 0
    assert "\x1b[1m" in shown
    lines = ESCAPE.sub("", shown).splitlines()
    assert all(len(line) <= 80 for line in lines), lines
    assert all(value in ESCAPE.sub("", shown) for value in ("a-device-with-quite-a-long-name", "fd7a:115c:a1e0::1"))
    assert "left out" in lines[-1] or "no room for" in lines[-1]
    status, plain = await on_terminal(tmp_path, "nodes", "list", columns=300, NO_COLOR="1")
    assert "\x1b" not in plain
    assert "MachineKey" in plain and "no room" not in plain


async def test_a_person_is_asked_and_the_answer_counts(tailnet: Tailnet, tmp_path: Path) -> None:
    status, shown = await on_terminal(tmp_path, "nodes", "delete", "-i", "1", typed="n\n")
    assert status == 1
    assert "delete node a-device-with-quite-a-long-name (id 1)? [y/N]" in shown
    assert "nothing was changed" in shown
    assert len(await tailnet.nodes()) == 1
    status, shown = await on_terminal(tmp_path, "nodes", "delete", "-i", "1", typed="y\n")
    assert (status, await tailnet.nodes()) == (0, [])


@pytest.fixture
async def deaf(tmp_path: Path) -> AsyncIterator[asyncio.Event]:
    """A server that takes connections and never says a word; the event tells that somebody came."""
    came = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(hold, tmp_path / "admin.sock")
    yield came
    server.close()


async def test_a_server_that_does_not_answer_in_time_is_a_failure(deaf: asyncio.Event, tmp_path: Path) -> None:
    status, shown = await on_terminal(tmp_path, "users", "list", HEADSCALE_CLI_TIMEOUT="2s")
    assert deaf.is_set()
    assert status == 1
    assert "waiting for unix:" in shown, "a sign of life meanwhile"
    last = ESCAPE.sub("", shown.rpartition("\x1b[K")[2])
    assert "did not answer within 2 s" in last or "no server answers" in last


async def test_an_interrupted_command_says_so_by_its_status(deaf: asyncio.Event, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "users", "list", stderr=asyncio.subprocess.PIPE, cwd=tmp_path,
        env={
            "HOME": str(tmp_path), "PATH": os.environ["PATH"], "HEADSCALE_CLI_TIMEOUT": "60s",
            "HEADSCALE_UNIX_SOCKET": str(tmp_path / "admin.sock"),
        },
    )  # fmt: skip
    async with asyncio.timeout(60):
        await deaf.wait()
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
