"""A TCP load balancer for tests: `balancer.py LISTEN BACKEND…`, each connection to the next backend that answers.

It prints where each went: address, port, and the backend's port.
"""

import asyncio
import itertools
import sys


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _main(listen: str, backends: list[str]) -> None:
    turn = itertools.cycle(backends)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in backends:
            host, _, port = next(turn).rpartition(":")
            try:
                there, back = await asyncio.open_connection(host, int(port))
            except OSError:
                continue
            print(*writer.get_extra_info("peername"), port, flush=True)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
            return
        writer.close()

    host, _, port = listen.rpartition(":")
    server = await asyncio.start_server(connection, host, int(port))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2:]))
