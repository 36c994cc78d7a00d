"""The installed server outlives clients that hang up while it writes: no signal of a broken pipe may end it."""

from __future__ import annotations

import signal
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.alone import Alone
from tests.e2e.waiting import wait_for


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    server = Alone(tmp_path)
    try:
        yield server
        assert server.faults() == []
    finally:
        server.close()


def test_the_server_ignores_broken_pipes(alone: Alone) -> None:
    def ignored() -> bool:
        lines = Path(f"/proc/{alone.pid}/status").read_text().splitlines()
        mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))
        return bool(mask >> (signal.SIGPIPE - 1) & 1)

    wait_for("SIGPIPE is ignored", ignored, 5)


def test_clients_that_hang_up_in_the_middle_harm_nobody(alone: Alone) -> None:
    for address in (alone.url.removeprefix("https://"), alone.grpc):
        host, port = address.split(":")
        for _ in range(20):
            raw = socket.create_connection((host, int(port)), timeout=5)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with alone.tls.wrap_socket(raw, server_hostname="localhost") as connection:
                connection.send(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    assert alone.ask("GET", "/api/v1/health") == (200, {"databaseConnectivity": True})
