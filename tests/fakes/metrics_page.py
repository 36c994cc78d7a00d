"""Asks a metrics listener over a plain socket, with any header an operator or a stranger may send."""

from __future__ import annotations

import asyncio
import json
from typing import Any


async def fetch(port: int, path: str, *, method: str = "GET", host: str = "x", **headers: str) -> tuple[int, str]:
    """Make one request; status and body. Header names are given with `_` for `-`."""
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{head}\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), body


async def fetch_json(port: int, path: str, method: str = "GET") -> Any:
    """A page as values; it must be there."""
    status, body = await fetch(port, path, method=method, Accept="application/json")
    assert status == 200, body
    return json.loads(body)
