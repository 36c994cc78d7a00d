"""What a packet costs the relay, and a request the STUN socket: `python -m tests.bench relay [--json FILE]`.

The relay runs in a process of its own, plain and with TLS on loopback; CPU is that process's, kernel included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from services.derp import frames, stun
from services.derp.certificate import self_signed, tls_context
from services.derp.client_admission import OpenAdmission
from services.derp.identity import load_identity
from services.derp.server import DerpServer, ServerSettings
from services.shared.runtime.clock import SystemClock
from tests.bench.load.account import Account, machine, median
from tests.bench.load.command import table
from tests.bench.load.scenarios import Figures
from tests.fakes.derp_client import RelayClient, client

PACKET = os.urandom(1200)
IN_FLIGHT = 256
BULK, PING_PONG, REQUESTS = 40_000, 20_000, 20_000
PAIRS, ROUNDS, AT_ONCE = 20, 5, 32


async def _serve(folder: Path) -> None:
    """A relay that is open to everybody; prints where it listens."""
    identity = load_identity(folder / "derp.key", b"")
    certificate = self_signed(folder, "127.0.0.1", identity.public, datetime.now(UTC))
    settings = ServerSettings(
        hostname="127.0.0.1", tls_address="127.0.0.1:0", http_address="127.0.0.1:0", stun_address="127.0.0.1:0"
    )
    server = DerpServer(settings, identity, OpenAdmission(), SystemClock(), tls_context(certificate))
    await server.start()
    assert server.stun is not None
    where = {"tls": server.tls_port, "plain": server.http_port, "stun": server.stun.port, "pin": certificate.cert_name}
    print(json.dumps(where), flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await server.stop()


async def _bulk(account: Account, port: int, pin: str) -> list[float]:
    """One sender, one receiver, so many packets in flight; CPU microseconds per packet that arrived."""
    found = []
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(client(port, pin=pin))
        other = await stack.enter_async_context(client(port, pin=pin))
        for _ in range(ROUNDS + 1):
            before, sent, arrived = account.cpu(), 0, 0
            while arrived < BULK:
                burst = min(IN_FLIGHT - (sent - arrived), BULK - sent)
                if burst >= IN_FLIGHT // 4:
                    one.writer.write(b"".join(frames.send_packet(other.key.raw, PACKET) for _ in range(burst)))
                    sent += burst
                await other.packet()
                arrived += 1
            found.append((account.cpu() - before) / BULK * 1e6)
    return found[1:]


async def _ping_pong(account: Account, port: int, pin: str) -> list[float]:
    """Pairs of which each has one packet under way; CPU microseconds per packet."""
    found = []
    async with AsyncExitStack() as stack:
        pairs = []
        for _ in range(PAIRS):
            one = await stack.enter_async_context(client(port, pin=pin))
            pairs.append((one, await stack.enter_async_context(client(port, pin=pin))))
        each = PING_PONG // PAIRS // 2

        async def play(one: RelayClient, other: RelayClient) -> None:
            for _ in range(each):
                one.send(other.key, PACKET)
                await other.packet()
                other.send(one.key, PACKET)
                await one.packet()

        for _ in range(ROUNDS + 1):
            before = account.cpu()
            await asyncio.gather(*(play(*pair) for pair in pairs))
            found.append((account.cpu() - before) / (each * 2 * PAIRS) * 1e6)
    return found[1:]


def _stun(account: Account, port: int) -> list[float]:
    """Requests, so many at once; CPU microseconds per request that was answered."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.settimeout(5)
        request = stun.write_request(os.urandom(12))
        for _ in range(ROUNDS + 1):
            before = account.cpu()
            for _ in range(REQUESTS // AT_ONCE):
                for _ in range(AT_ONCE):
                    sock.send(request)
                for _ in range(AT_ONCE):
                    sock.recv(100)
            found.append((account.cpu() - before) / (REQUESTS // AT_ONCE * AT_ONCE) * 1e6)
    return found[1:]


def _figure(values: list[float]) -> Figures:
    return {"cpu_us": median(values), "cpu_us_min": min(values), "cpu_us_max": max(values)}


def measure() -> dict[str, Figures]:
    """Start a relay and measure it."""
    with tempfile.TemporaryDirectory(prefix="bench-relay-") as folder:
        process = subprocess.Popen([sys.executable, "-m", "tests.bench.relay", folder], stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            where = json.loads(process.stdout.readline())
            account, figures = Account([process.pid]), {}
            for name, pin in (("plain", ""), ("tls", where["pin"])):
                figures[f"relay_bulk_{name}"] = _figure(uvloop.run(_bulk(account, where[name], pin)))
                figures[f"relay_ping_pong_{name}"] = _figure(uvloop.run(_ping_pong(account, where[name], pin)))
            figures["stun"] = _figure(_stun(account, where["stun"]))
        finally:
            process.terminate()
            process.wait(20)
    return figures


def main(arguments: list[str]) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench relay", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--baseline", type=Path)
    options = parser.parse_args(arguments)
    figures = measure()
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "scenarios": figures}, indent=1) + "\n")
    print(table(figures, json.loads(options.baseline.read_text())["scenarios"] if options.baseline else {}))
    return 0


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
