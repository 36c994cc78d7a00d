"""What administration of a large tailnet costs in the stack: `python -m tests.bench large [-n 100000]`.

A synthetic Headscale installation of that size, each node with 2 KiB of hostinfo, is imported into PostgreSQL. Then
commands that read the whole tailnet are run over TCP, as from an administrator's machine. Shown are their seconds, the
most memory that each had, and what the server's processes grew to.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load.account import machine
from tests.e2e import lab, servers
from tests.e2e.lab import SERVERS, Lab
from tests.e2e.servers import HEADSCALE, Stack
from tests.flow.moving.installations import unpack

RELEASE = "0.29.2"
USERS = 1_000
HOSTINFO = json.dumps({
    "OS": "linux", "IPNVersion": "1.90.0", "Hostname": "synthetic", "GoArch": "amd64",
    "Services": [{"Proto": "tcp", "Port": 1000 + port, "Description": "a service " * 3} for port in range(24)],
})  # fmt: skip
"""2 KiB, as of a device with many listeners."""

_ADD_USERS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :users)
INSERT INTO users (id, created_at, updated_at, name)
SELECT 1000 + n, '2026-01-01 00:00:00', '2026-01-01 00:00:00', 'user' || n FROM numbers
"""
_ADD_NODES = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :nodes)
INSERT INTO nodes (id, machine_key, node_key, disco_key, endpoints, host_info, ipv4, ipv6, hostname, given_name,
                   user_id, register_method, tags, last_seen, approved_routes, created_at, updated_at)
SELECT 1000 + n, printf('mkey:%064x', n), printf('nodekey:%064x', n), printf('discokey:%064x', n), '[]', :hostinfo,
       printf('100.%d.%d.%d', 80 + (n >> 16), n >> 8 & 255, n & 255),
       printf('fd7a:115c:a1e0::a:%x:%x', n >> 16, n & 65535),
       'node' || n, 'node' || n, 1001 + n % :users, 'cli', '[]', '2026-01-01 00:00:00', '[]',
       '2026-01-01 00:00:00', '2026-01-01 00:00:00'
FROM numbers
"""
POLICY = {"acls": [{"action": "accept", "src": [f"user{n}@"], "dst": [f"user{n}@:*"]} for n in range(1, USERS + 1)]}
EDITED = {"acls": [*POLICY["acls"], {"action": "accept", "src": ["user1@"], "dst": ["user2@:22"]}]}


@dataclass
class Measured:
    """A command, and what it took."""

    name: str
    seconds: float
    peak_mib: float
    output_mib: float
    progress: str


class LargeStack(Stack):
    """The stack with a large tailnet in it, administered over TCP by a key."""

    key = ""

    def fill(self, nodes: int) -> Measured:
        """Import a synthetic installation while our services are down, and start them again."""
        source = unpack(RELEASE, self.folder / "old").database.sqlite.path
        with closing(sqlite3.connect(source)) as old:
            old.execute(_ADD_USERS, {"users": USERS})
            old.execute(_ADD_NODES, {"nodes": nodes, "users": USERS, "hostinfo": HOSTINFO})
            old.commit()
        ours = [name for name in self.processes if name not in ("postgres", "redis", "balancer")]
        for name in reversed(ours):
            self.processes[name].stop()
        taken = self.timed("import", "import", "--from", str(source), "-o", "json", direct=True)
        for name in ours:
            self.restart(name)
        self.wait_healthy(600)
        self.key = str(self.json("apikeys", "create"))
        return taken

    def timed(self, name: str, *arguments: str, direct: bool = False) -> Measured:
        """Run a command in the server's namespace and account for it.

        Raises:
            AssertionError: it failed; the text has what it printed.
        """
        remote = {
            "HEADSCALE_CLI_ADDRESS": "127.0.0.1:50441",
            "HEADSCALE_CLI_API_KEY": self.key,
            "HEADSCALE_CLI_INSECURE": "true",
            "HEADSCALE_CLI_TIMEOUT": "600s",
        }
        output, errors = self.folder / "output", self.folder / "errors"
        configured = ["-c", str(self.config)] if direct else []
        run = ["ip", "netns", "exec", self.lab.namespace(SERVERS), HEADSCALE, *configured, *arguments]
        began = time.monotonic()
        files = [(os.POSIX_SPAWN_OPEN, number, str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                 for number, path in ((1, output), (2, errors))]  # fmt: skip
        environment = {**os.environ, **({} if direct else remote)}
        pid = os.posix_spawnp(run[0], run, environment, file_actions=files)
        _, status, used = os.wait4(pid, 0)
        seconds = time.monotonic() - began
        said = errors.read_text()[-2000:]
        if status:
            raise AssertionError(f"headscale {' '.join(arguments)}: {said}{output.read_text()[-2000:]}")
        return Measured(name, seconds, used.ru_maxrss / 1024, output.stat().st_size / (1 << 20), said.strip()[-80:])

    def peaks(self) -> dict[str, float]:
        """The most memory that each of our processes has had, in MiB."""
        found = {}
        for name, process in self.processes.items():
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            found[name] = int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024
        return found


def measure(stack: LargeStack, nodes: int) -> list[Measured]:
    """Run each command once; the policy is in force before the tailnet is asked about it."""
    policy, edited = stack.folder / "policy.json", stack.folder / "edited.json"
    policy.write_text(json.dumps(POLICY))
    edited.write_text(json.dumps(EDITED))
    done = [stack.fill(nodes)]
    for name, arguments in {
        "nodes list": ("nodes", "list"),
        "nodes list -o json": ("nodes", "list", "-o", "json"),
        "nodes rename -i ID": ("nodes", "rename", "-i", str(1000 + nodes // 2), "renamed"),
        "nodes rename -i NAME": ("nodes", "rename", "-i", "renamed", "renamed-again"),
        "policy set": ("policy", "set", str(policy)),
        "policy check": ("policy", "check", str(edited)),
        "policy explain": ("policy", "explain", "node1", f"node{nodes}:22"),
        "policy preview": ("policy", "preview", str(edited)),
    }.items():
        done.append(stack.timed(name, *arguments))
        print(f"{done[-1].name}: {done[-1].seconds:.1f} s", file=sys.stderr, flush=True)
    return done


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench large", description=__doc__)
    parser.add_argument("-n", "--nodes", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures here")
    chosen = parser.parse_args(arguments)
    if reason := lab.missing() or servers.missing_for_stack():
        print(f"large: not measured: {reason}", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        net = Lab(Path(folder))
        stack = None
        try:
            stack = LargeStack(net, {"grpc_allow_insecure": True})
            done, peaks = measure(stack, chosen.nodes), stack.peaks()
            faults = stack.faults()
        finally:
            if stack is not None:
                stack.close()
            net.close()
    print(f"{chosen.nodes} nodes\n{'':24}{'seconds':>9}{'peak MiB':>10}{'output MiB':>12}")
    for one in done:
        print(f"{one.name:24}{one.seconds:9.1f}{one.peak_mib:10.0f}{one.output_mib:12.1f}")
    print("peak of processes, MiB: " + ", ".join(f"{name} {mib:.0f}" for name, mib in peaks.items()))
    if chosen.json:
        report = {"nodes": chosen.nodes, "machine": machine(), "commands": [vars(one) for one in done], "peaks": peaks}
        chosen.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if faults else 0
