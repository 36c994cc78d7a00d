"""How long a policy takes on tailnets of growing size: `python -m tests.bench.policy`.

200 rules, 100 groups, 50 tags; three devices a user, one node in ten tagged, one in a hundred a subnet router.
Last, one user who owns every device, and users who each log in to all devices under a name of their own.

The sizes take turns, so that a busy minute is no size's alone; of many turns the least CPU time counts: noise only
adds. What then grows too fast is measured for more turns before it is called steep. A plain pass over the nodes is
measured among the steps: what it grows beyond its size is the machine's (caches, and who else is in them), not ours.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import inf, log

from services.policy.model.checks.testing import run_tests
from services.policy.model.compiler import compile_policy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode, AccessUser

SIZES = (1000, 3000, 10000)
LIMIT = 1.1
"""The steepest growth allowed: slope of log time over log size, from the first size to the last."""
CLEARLY = 1.4
"""What is so steep is not measured again."""
PLAIN = "a plain pass"
MOST_OF_MACHINE = 0.1
"""So much of a slope at most is put down to the machine."""
TURNS, MORE_TURNS = 7, 40

_RESERVE, _ARENA, _OBJECT = 128 << 20, 1 << 20, 450

Step = Callable[[], object]


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

NAMED = json.dumps(
    {
        "acls": [{"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:member:*"]}],
        "ssh": [
            {
                "action": "accept",
                "src": ["autogroup:member"],
                "dst": ["autogroup:self", "autogroup:member"],
                "users": ["localpart:*@example.com", "root"],
            }
        ],
        "sshTests": [
            {"src": "autogroup:member", "dst": ["autogroup:self", "autogroup:member"], "accept": ["root"]},
            {"src": "u1@example.com", "dst": ["autogroup:member"], "accept": ["u1"], "deny": ["u2"]},
        ],
    }
)
"""Everybody logs in everywhere under their own name: every user's policy has a rule for every user."""


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


def steps(size: int) -> dict[str, Step]:
    """What is measured on a tailnet of one size."""
    users, nodes = tailnet(size)
    text = policy_text(len(users))
    policy = compile_policy(text).policy
    edited = compile_policy(policy_text(len(users), extra="u1@example.com")).policy
    access = Access(policy, users, nodes)
    document, own = compile_policy(text), compile_policy(OWN)
    named = compile_policy(NAMED, domains=("example.com",))
    mine = [replace(node, user_id=1, tags=()) for node in nodes]
    return {
        PLAIN: lambda: plain(nodes),
        "compile": lambda: compile_policy(text),
        "evaluate": lambda: Access(policy, users, nodes),
        "full visibility": lambda: visibility(Access(policy, users, nodes)),
        "all filters": lambda: filters(access, nodes),
        "edit of one group": lambda: visibility(Access(edited, users, nodes)),
        "tests": lambda: run_tests(document, users, nodes),
        "own devices": lambda: filters(Access(own.policy, users, mine), mine),
        "own devices, ssh": lambda: logins(Access(own.policy, users, mine), mine),
        "own devices, tests": lambda: run_tests(own, users, mine),
        "own names, tests": lambda: run_tests(named, users, nodes),
    }


def plain(nodes: list[AccessNode]) -> int:
    """Objects, indexes and sets such as a step makes for nodes, and no work that could grow but with their number."""
    by_owner: dict[int, list[dict[str, str]]] = {}
    for node in nodes:
        by_owner.setdefault(node.user_id, []).append({"ipv4": node.ipv4, "ipv6": node.ipv6})
    sets = [frozenset(address for one in owned for address in one.values()) for owned in by_owner.values()]
    together = frozenset[str]().union(*sets)
    return sum(one <= together for one in sets)


def visibility(access: Access) -> int:
    """Ask every class what it sees."""
    return sum(len(access.visible_classes(class_)) for class_ in access.classes())


def filters(access: Access, nodes: list[AccessNode]) -> int:
    """Make every node's packet filter."""
    return sum(len(access.packet_filter(node.id)) for node in nodes)


def logins(access: Access, nodes: list[AccessNode]) -> int:
    """Make every node's SSH policy."""
    return sum(len(policy["rules"]) for node in nodes if (policy := access.ssh_policy(node.id)))


@contextmanager
def settled() -> Iterator[None]:
    """No collection of garbage, nothing of before to go through in one, and memory that need not be asked for.

    The kernel hands out memory a page at a time, which takes a quarter of what a step takes, and only from the size on
    that the interpreter has no pages left for. A few objects in each of its arenas keep it from giving them back.
    """
    reserve = [bytes(_OBJECT) for _ in range(_RESERVE // _OBJECT)][:: _ARENA // _OBJECT // 2]
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        reserve.clear()


def cpu_of(step: Step) -> float:
    """CPU seconds of this process for one go, without collections of garbage; what it leaves is collected before."""
    gc.collect()
    start = time.process_time()
    step()
    return time.process_time() - start


def measure(
    work: Mapping[int, Mapping[str, Step]], turns: int = TURNS, more_turns: int = MORE_TURNS
) -> dict[str, dict[int, float]]:
    """The least CPU seconds of each step by size. What is steep gets more turns: noise goes with them, growth stays."""
    found: dict[str, dict[int, float]] = {step: {} for step in next(iter(work.values()))}
    wanted = list(found)
    with settled():
        for sized in work.values():
            for step in wanted:
                sized[step]()
        for turn in range(turns + more_turns):
            if turn >= turns:
                wanted = [step for step in steep(found) if growth(found[step]) < CLEARLY]
            for step in {PLAIN: None, **dict.fromkeys(wanted)} if wanted else ():
                for size, sized in work.items():
                    found[step][size] = min(cpu_of(sized[step]), found[step].get(size, inf))
    return found


def growth(seconds: Mapping[int, float]) -> float:
    """The slope of log time over log size, from the least size to the greatest."""
    first, last = min(seconds), max(seconds)
    return log(seconds[last] / seconds[first]) / log(last / first)


def steep(found: Mapping[str, Mapping[int, float]]) -> list[str]:
    """Steps that grow faster than allowed, and not because the machine gets slower for whatever is larger."""
    of_machine = min(max(growth(found[PLAIN]) - 1.0, 0.0), MOST_OF_MACHINE)
    return [step for step, seconds in found.items() if step != PLAIN and growth(seconds) - of_machine > LIMIT]


def main(sizes: Sequence[int] = SIZES) -> int:
    """Print a table; the exit status says whether growth is linear enough."""
    measured = measure({size: steps(size) for size in sizes})
    print(f"{'':20}" + "".join(f"{size:>12}" for size in sizes) + f"{'slope':>8}")
    for step, seconds in measured.items():
        print(f"{step:20}" + "".join(f"{seconds[n] * 1000:>9.1f} ms" for n in sizes) + f"{growth(seconds):>8.2f}")
    found = steep(measured)
    if found:
        print(f"grows faster than {LIMIT}: {', '.join(found)}")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
