"""A program: our relay and STUN alone, open to every client, and the DERP map that leads there, over plain HTTP.

    python -m tests.e2e.derp_host FOLDER MAP_ADDRESS RELAY_ADDRESS...

Each relay address gets a TLS relay on port 443 and STUN on 3478, all of one region and meshed with each other.
`/derpmap` is the map with all of them, `/derpmap/N` that with the one of number N alone.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from services.derp.certificate import self_signed, tls_context
from services.derp.client_admission import OpenAdmission
from services.derp.identity import load_identity
from services.derp.mesh import Mesh, MeshTarget
from services.derp.server import DerpServer, ServerSettings
from services.shared.runtime.clock import SystemClock
from services.shared.telemetry.logs import configure_logging

MESH_KEY = bytes(range(32))


class Host:
    """One relay of the region."""

    def __init__(self, folder: Path, address: str) -> None:
        self.address = address
        identity = load_identity(folder / "derp.key", MESH_KEY)
        certificate = self_signed(folder, address, identity.public, datetime.now(UTC))
        self.pin = certificate.cert_name
        settings = ServerSettings(hostname=address, tls_address=f"{address}:443", stun_address=f"{address}:3478")
        self.server = DerpServer(settings, identity, OpenAdmission(), SystemClock(), tls_context(certificate))

    def join(self, others: list[Host]) -> Mesh:
        """Its links to the others."""
        targets = tuple(MeshTarget.parse(f"https://{other.address}#{other.pin}") for other in others)
        return Mesh(self.server.relay, self.server.identity, targets, SystemClock())

    def node(self, index: int) -> dict[str, object]:
        """Its place in the DERP map."""
        return {
            "Name": f"900{'abc'[index]}",
            "RegionID": 900,
            "HostName": self.address,
            "CertName": self.pin,
            "IPv4": self.address,
            "IPv6": "none",
        }

    def report(self) -> str:
        """What it has seen, for the test."""
        counters = self.server.relay.counters
        stun = self.server.stun.answered if self.server.stun else 0
        return (
            f"relay {self.address} accepts={counters.accepts} sent={counters.packets_sent} stun={stun}"
            f" forwarded={counters.packets_forwarded_out} refused={self.server.refusals.protocol}"
        )


def derp_map(nodes: list[dict[str, object]]) -> bytes:
    """A DERP map of our one region, as a whole HTTP response."""
    region = {"RegionID": 900, "RegionCode": "lab", "RegionName": "Lab", "Nodes": nodes}
    body = json.dumps({"Regions": {"900": region}, "OmitDefaultRegions": True}).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


async def serve_map(address: str, hosts: list[Host]) -> asyncio.Server:
    """Answer `/derpmap` with all relays, and `/derpmap/N` with one: some clients pick one at random."""
    nodes = [host.node(index) for index, host in enumerate(hosts)]
    answers = {f"/derpmap/{index}": derp_map([node]) for index, node in enumerate(nodes)} | {
        "/derpmap": derp_map(nodes)
    }

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(answers[head.split()[1].decode()])
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, address, 18080)


async def main(folder: str, map_address: str, *addresses: str) -> None:
    """Serve until SIGTERM, then say what was seen."""
    configure_logging("debug", "text")
    hosts = [Host(Path(folder, str(index)), address) for index, address in enumerate(addresses)]
    meshes = [host.join([other for other in hosts if other is not host]) for host in hosts]
    for host, mesh in zip(hosts, meshes, strict=True):
        await host.server.start()
        mesh.start()
    server = await serve_map(map_address, hosts)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: print("\n".join(host.report() for host in hosts), flush=True)
    )
    print("serving", flush=True)
    await stopping.wait()
    server.close()
    for host, mesh in zip(hosts, meshes, strict=True):
        await mesh.stop()
        await host.server.stop()
        print(host.report(), flush=True)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
