"""A program that tries a new TCP connection over a client's SOCKS door again and again: `prober.py ADDRESS`.

Each try asks the peer's page. It prints `START END yes|no` for each, in seconds of the monotonic clock, which all
processes of a machine share.
"""

import asyncio
import socket
import sys
import time

INTERVAL = 0.025
PATIENCE = 0.7
DOOR = ("127.0.0.1", 18501)


async def _try(address: bytes) -> bool:
    writer = None
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(*DOOR)
            writer.write(b"\x05\x01\x00")
            await reader.readexactly(2)
            writer.write(b"\x05\x01\x00\x01" + address + (80).to_bytes(2, "big"))
            await reader.readexactly(10)
            writer.write(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            return b"hello from" in await reader.read(65536)
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return False
    finally:
        if writer is not None:
            writer.close()


async def _main(address: bytes) -> None:
    async def once() -> None:
        start = time.monotonic()
        answer = await _try(address)
        print(f"{start:.6f} {time.monotonic():.6f} {'yes' if answer else 'no'}", flush=True)

    async with asyncio.TaskGroup() as tries:
        while True:
            tries.create_task(once())
            await asyncio.sleep(INTERVAL)


if __name__ == "__main__":
    asyncio.run(_main(socket.inet_aton(sys.argv[1])))
