"""Thousands of simulated devices and real Tailscale clients in one tailnet on the stack, under churn, while parts of
the stack are killed: at the end every netmap must equal the truth.

    python -m tests.bench chaos --devices 5000 --seconds 600

Needs root (network namespaces), PostgreSQL, Redis and the packaged clients. What real clients hold is read by asking
them through the gateway (c2n); two builds answer that question, of the others it is proved that they are online and
reach a peer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.load.account import Account
from tests.e2e import clients, lab, servers
from tests.e2e.clients import Arkitekt, Baseshift, Caddy, Client, Mihomo
from tests.e2e.inside import netmap
from tests.e2e.lab import SERVERS, Lab, Process
from tests.e2e.servers import Stack
from tests.e2e.waiting import wait_for

ANSWERING = ("one", "two", "three")
"""Clients whose builds tell their netmap."""
TROUBLE = ("map-streamer-1", "gateway-2", "redis", "map-streamer-2", "registry", "gateway-1")
"""What ends, one after the other, spread over the time; gateways as planned restarts do, the rest as if killed."""
BALANCER = "balancer"
"""Spreads connections over the gateways; what it costs is not counted."""
PATIENCE = 180.0
ANSWER_TIMEOUT = 40.0
"""Seconds for a client to write down a netmap of thousands of peers."""


def missing() -> str | None:
    """Why this cannot run here, or None."""
    return lab.missing() or clients.missing() or servers.missing_for_stack()


class Chaos:
    """The stack, the clients, the devices."""

    def __init__(
        self, folder: Path, devices: int, seconds: float, rate: float, trouble: Sequence[str] = TROUBLE
    ) -> None:
        self.devices, self.seconds, self.rate, self.trouble = devices, seconds, rate, trouble
        self.lab = Lab(folder)
        self.real: dict[str, Client] = {}
        self.wrong: list[str] = []
        self._account = Account([])
        self._truth = folder / "truth.json"
        try:
            self.stack = Stack(self.lab, {"log": {"level": "warn", "format": "text"}})
        except BaseException:
            self.lab.close()
            raise

    def close(self) -> None:
        """End and remove everything."""
        try:
            self.stack.close()
        finally:
            self.lab.close()

    def said_by_fleet(self) -> str:
        """Its output so far."""
        log = self.lab.folder / "fleet.log"
        return log.read_text() if log.exists() else ""

    def run(self) -> None:
        """All of it; what is wrong is in `wrong`."""
        key = self.stack.auth_key("bench", "--reusable")
        self._start_clients(key)
        fleet = self._start_fleet(key)
        _say(f"{self.devices} devices and {len(self.real)} real clients are there")
        self._account = Account([], [process.pid for name, process in self.stack.processes.items() if name != BALANCER])
        start, spent = time.monotonic(), self._account.cpu()
        self._trouble(start)
        wait_for("the fleet calms down", lambda: "\ncalm" in fleet.text(), self.seconds + PATIENCE)
        _say(_line(fleet, "calm"))
        took = time.monotonic() - start
        _say(f"the stack used {(self._account.cpu() - spent) / took:.0%} of one core")
        wait_for("the devices say what they hold", lambda: _line(fleet, "proved", "wrong"), 120 + PATIENCE)
        verdict = _line(fleet, "proved", "wrong")
        _say(f"sampled devices: {verdict}")
        if verdict != "proved":
            self.wrong.append(verdict)
        self._prove_clients()
        self.wrong += self.stack.faults()
        if "Traceback" in fleet.text():
            self.wrong.append(f"a fault of the simulated devices: {fleet.text()[-500:]}")
        fleet.stdin.close()
        fleet.stop()

    def _start_clients(self, key: str) -> None:
        for host in (*ANSWERING, "new", "old", "rust"):
            self.lab.add_host(host)
        url = self.stack.url
        for name in ANSWERING:
            caddy = Caddy(self.lab, name, name, url, key)
            caddy.start()
            caddy.wait_running(60)
            self.real[name] = caddy
        Baseshift.target = self.stack.nodes()["one"]["ipAddresses"][0]
        for kind, name in ((Mihomo, "new"), (Baseshift, "old"), (Arkitekt, "rust")):
            client: Client = kind(self.lab, name, name, url, key)
            client.start()
            self.real[name] = client
        self._reach()

    def _start_fleet(self, key: str) -> Process:
        order = {
            "urls": ["http://127.0.0.1:8081", "http://127.0.0.1:8082"], "key": key, "devices": self.devices,
            "seconds": self.seconds, "truth": str(self._truth), "rate": self.rate,
        }  # fmt: skip
        command = [sys.executable, "-m", "tests.bench.load.unrest", json.dumps(order)]
        fleet = self.lab.start(SERVERS, "fleet", command, stdin=True)

        def grown() -> bool:
            assert fleet.running(), fleet.text()[-2000:]
            return "grown" in fleet.text()

        wait_for("the fleet has grown", grown, 60 + self.devices * 0.2)
        return fleet

    def _trouble(self, start: float) -> None:
        """End parts of the stack, one after the other, and edit the policy meanwhile."""
        step = self.seconds / (len(self.trouble) + 1)
        for number, name in enumerate(self.trouble, 1):
            time.sleep(max(0.0, start + number * step - time.monotonic()))
            process = self.stack.processes[name]
            self._account.cpu()
            if name.startswith("gateway"):
                process.stop(30)
            else:
                process.kill()
            self.stack.restart(name)
            self._account.add(self.stack.processes[name].pid)
            _say(f"{time.monotonic() - start:4.0f} s: {name} ended and started again")
            wait_for("administration answers", self.stack.administrable, 90)
            if not self.stack.processes[name].running():
                raise RuntimeError(f"{name} did not start again: {self.stack.processes[name].text()[-500:]}")
            self._edit_policy(number)

    def _edit_policy(self, number: int) -> None:
        """All see all, with filters that differ each time."""
        file = self.stack.folder / "policy.json"
        ports = "*" if number == len(self.trouble) else f"1-{60000 + number}"
        file.write_text(json.dumps({"acls": [{"action": "accept", "src": ["*"], "dst": [f"*:{ports}"]}]}))
        self.stack.cli("policy", "set", "-f", str(file))

    def _reach(self) -> None:
        address = self.stack.nodes()["one"]["ipAddresses"][0]
        for name, client in self.real.items():
            if name != "one":
                reached = lambda client=client: "hello from one" in client.fetch(f"http://{address}/", 5) or None  # noqa: E731
                wait_for(f"{name} reaches one", reached, PATIENCE)

    def _prove_clients(self) -> None:
        said: dict[str, Any] = json.loads(self._truth.read_text())
        nodes = self.stack.nodes()
        for name in ANSWERING:
            held: dict[str, Any] = {"Peers": []}
            differences = ["not asked"]
            end = time.monotonic() + PATIENCE
            while differences and time.monotonic() < end:
                held = netmap(self.stack, int(nodes[name]["id"]), ANSWER_TIMEOUT)
                differences = compare(held["Peers"], nodes, said, name)
            size = f"{len(held['Peers'])} peers, {len(json.dumps(held)) / 2**20:.1f} MiB"
            _say(f"{name}: {size}, {'equal to the truth' if not differences else '; '.join(differences[:5])}")
            self.wrong += [f"{name}: {one}" for one in differences]
        try:
            self._reach()
        except AssertionError as error:
            self.wrong.append(str(error))
        after = self.stack.nodes()
        offline = [name for name in self.real if not after[name]["online"]]
        self.wrong += [f"{name} is shown offline" for name in offline]


def compare(peers: list[Any], nodes: dict[str, Any], said: dict[str, Any], viewer: str) -> list[str]:
    """What is wrong in a client's netmap, by the registry's list and by what the devices said of themselves."""
    held = {peer["Key"]: peer for peer in peers}
    truth = {node["nodeKey"]: node for name, node in nodes.items() if name != viewer}
    found = []
    if missing_ones := truth.keys() - held.keys():
        found.append(f"lacks {len(missing_ones)} of {len(truth)} peers")
    if surplus := held.keys() - truth.keys():
        found.append(f"has {len(surplus)} peers that are not there")
    for key in truth.keys() & held.keys():
        peer, node = held[key], truth[key]
        name = node["givenName"]
        if not str(peer["Name"]).startswith(f"{name}."):
            found.append(f"{name} is called {peer['Name']}")
        if sorted(a.partition("/")[0] for a in peer["Addresses"]) != sorted(node["ipAddresses"]):
            found.append(f"{name} has the addresses {peer['Addresses']}")
        if key in said:
            if (peer.get("Endpoints") or []) != said[key]["endpoints"]:
                found.append(f"{name} has the endpoints {peer.get('Endpoints')}, not {said[key]['endpoints']}")
            if peer.get("DiscoKey") != said[key]["disco"]:
                found.append(f"{name} has another disco key")
            if said[key]["online"] and peer.get("Online") is not True:
                found.append(f"{name} is shown offline")
    if absent := said.keys() - truth.keys():
        found.append(f"the registry lacks {len(absent)} devices")
    return found


def _line(fleet: Process, *beginnings: str) -> str:
    """What the simulated devices said that begins so; empty when they have not."""
    return next((line for line in fleet.text().splitlines() if line.startswith(beginnings)), "")


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main(arguments: list[str]) -> int:
    """Run it; the verdict is the last line and the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench chaos", description=__doc__)
    parser.add_argument("--devices", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=5.0, help="events each second")
    options = parser.parse_args(arguments)
    if reason := missing():
        print(reason, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        chaos = Chaos(Path(folder), options.devices, options.seconds, options.rate)
        try:
            chaos.run()
        except BaseException:
            for name, process in chaos.stack.processes.items():
                _say(f"{name}: {process.text()[-600:]}")
            _say(f"fleet: {chaos.said_by_fleet()[-2000:]}")
            raise
        finally:
            chaos.close()
    for line in chaos.wrong[:20]:
        _say(line)
    _say("wrong" if chaos.wrong else f"all netmaps equal the truth after {options.seconds:.0f} s")
    return int(bool(chaos.wrong))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
