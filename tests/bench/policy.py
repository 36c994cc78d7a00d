"""How long a policy takes on tailnets of growing size: `python -m tests.bench.policy`.

200 rules, 100 groups, 50 tags; three devices a user, one node in ten tagged, one in a hundred a subnet router.
Last, one user who owns every device.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from dataclasses import replace
from math import log

from services.policy.model.compiler import compile_policy
from services.policy.model.testing import run_tests
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode, AccessUser

SIZES = (1000, 3000, 10000)
LIMIT = 1.1
"""The steepest growth allowed: slope of log time over log size, from the first size to the last."""


def policy_text(users: int, groups: int = 100, rules: int = 200, extra: str = "") -> str:
    """A policy with groups of users that reach tags and subnets."""
    members = {
        f"group:g{g}": [f"u{u}@example.com" for u in range(users) if g in (u % groups, u * 7 % groups)]
        for g in range(groups)
    }
    if extra:
        members["group:g0"].append(extra)
    acls = [
        {"action": "accept", "src": [f"group:g{n % groups}"], "dst": [f"tag:t{n % 50}:{80 + n}", f"10.{n}.0.0/16:443"]}
        for n in range(rules - 2)
    ]
    acls.append({"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"]})
    acls.append({"action": "accept", "src": ["autogroup:member"], "dst": ["tag:t0:53"]})
    owners = {f"tag:t{tag}": [f"group:g{tag}"] for tag in range(50)}
    tests = [{"src": "autogroup:member", "accept": ["tag:t0:53", "autogroup:self:22"], "deny": ["tag:t1:22"]}]
    ssh = [
        {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["root"]},
        {"action": "check", "src": ["autogroup:member"], "dst": ["autogroup:tagged"], "users": ["ubuntu"]},
    ]
    ssh_tests = [
        {"src": "autogroup:member", "dst": ["autogroup:self"], "accept": ["root"], "deny": ["ubuntu"]},
        {"src": "autogroup:member", "dst": ["autogroup:tagged"], "check": ["ubuntu"]},
    ]
    sections = {"tests": tests, "ssh": ssh, "sshTests": ssh_tests}
    return json.dumps({"groups": members, "tagOwners": owners, "acls": acls, **sections})


OWN = json.dumps(
    {
        "acls": [{"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"]}],
        "ssh": [{"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["root"]}],
        "tests": [{"src": "autogroup:member", "accept": ["autogroup:self:22"]}],
        "sshTests": [{"src": "autogroup:member", "dst": ["autogroup:self"], "accept": ["root"]}],
    }
)
"""Everybody reaches their own devices: told to one user who has all of them, the hardest case."""


def tailnet(size: int) -> tuple[list[AccessUser], list[AccessNode]]:
    """Users and nodes."""
    users = [AccessUser(n + 1, f"u{n}", f"u{n}@example.com") for n in range(size // 3)]
    nodes = []
    for n in range(size):
        ipv4, ipv6 = f"100.{64 + (n >> 16)}.{n >> 8 & 255}.{n & 255}", f"fd7a:115c:a1e0::{n + 1:x}"
        if n % 10:
            nodes.append(AccessNode(n + 1, n % len(users) + 1, (), ipv4, ipv6, created=n + 1))
            continue
        routes = (f"10.{n // 100 % 200}.0.0/16",) if n % 100 == 0 else ()
        nodes.append(AccessNode(n + 1, 0, (f"tag:t{n // 10 % 50}",), ipv4, ipv6, routes, routes, created=n + 1))
    return users, nodes


def measure(size: int) -> dict[str, float]:
    """Seconds of each step."""
    users, nodes = tailnet(size)
    text = policy_text(len(users))
    policy = compile_policy(text).policy
    edited = compile_policy(policy_text(len(users), extra="u1@example.com")).policy
    access = Access(policy, users, nodes)
    document, own = compile_policy(text), compile_policy(OWN)
    mine = [replace(node, user_id=1, tags=()) for node in nodes]
    return {
        "compile": best(lambda: compile_policy(text)),
        "evaluate": best(lambda: Access(policy, users, nodes)),
        "full visibility": best(lambda: visibility(Access(policy, users, nodes))),
        "all filters": best(lambda: filters(access, nodes)),
        "edit of one group": best(lambda: visibility(Access(edited, users, nodes))),
        "tests": best(lambda: run_tests(document, users, nodes)),
        "own devices": best(lambda: filters(Access(own.policy, users, mine), mine)),
        "own devices, ssh": best(lambda: logins(Access(own.policy, users, mine), mine)),
        "own devices, tests": best(lambda: run_tests(own, users, mine)),
    }


def visibility(access: Access) -> int:
    """Ask every class what it sees."""
    return sum(len(access.visible_classes(class_)) for class_ in access.classes())


def filters(access: Access, nodes: list[AccessNode]) -> int:
    """Make every node's packet filter."""
    return sum(len(access.packet_filter(node.id)) for node in nodes)


def logins(access: Access, nodes: list[AccessNode]) -> int:
    """Make every node's SSH policy."""
    return sum(len(policy["rules"]) for node in nodes if (policy := access.ssh_policy(node.id)))


def best(work: Callable[[], object], runs: int = 5) -> float:
    """The shortest of some runs in CPU time, without collections of garbage in between, as `timeit` measures."""
    found = []
    for _ in range(runs):
        gc.collect()
        gc.disable()
        try:
            start = time.process_time()
            work()
            found.append(time.process_time() - start)
        finally:
            gc.enable()
    return min(found)


def main() -> int:
    """Print a table; the exit status says whether growth is linear enough."""
    measured = {size: measure(size) for size in SIZES}
    steps = list(measured[SIZES[0]])
    print(f"{'':20}" + "".join(f"{size:>12}" for size in SIZES) + f"{'slope':>8}")
    steep = False
    for step in steps:
        seconds = [measured[size][step] for size in SIZES]
        slope = log(seconds[-1] / seconds[0]) / log(SIZES[-1] / SIZES[0])
        steep = steep or slope > LIMIT
        print(f"{step:20}" + "".join(f"{value * 1000:>9.1f} ms" for value in seconds) + f"{slope:>8.2f}")
    return int(steep)


if __name__ == "__main__":
    raise SystemExit(main())
