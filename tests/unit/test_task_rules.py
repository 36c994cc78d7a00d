"""Rules for background work: it runs in `services.shared.background` or a `TaskGroup`, where a failure is seen.

A bare task that fails is silent until the garbage collector finds it. The modules below have one for the reason given;
a new one needs a reason here and in a comment beside it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
BARE = {
    "gateway/admin/local_socket.py": "one for each connection, cancelled with it",
    "gateway/machine/attachment.py": "two waits raced within one function, which awaits both",
    "gateway/machine/in_flight.py": "one for each request; failures are answered, logged and counted there",
    "services/derp/registry_client.py": "one answer that several callers await",
    "services/map_streamer/rpc.py": "the reading half of one stream, awaited with it",
    "services/map_streamer/tailnet/session_admission.py": "an opening that waits, cancelled with its session",
    "services/shared/background.py": "the owner of all others",
    "services/shared/rpc/client_calls.py": "one for each call; its failure cancels the call",
    "services/shared/rpc/local.py": "one for each call; its failure is the status of the call",
}
GROUPS = {"group", "tasks"}
"""Names of variables that hold an `asyncio.TaskGroup`."""


def bare_tasks(path: Path) -> Iterator[int]:
    """Lines of a module that start a task outside of a `TaskGroup`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            starts = node.func.attr in ("create_task", "ensure_future")
            if starts and not (isinstance(node.func.value, ast.Name) and node.func.value.id in GROUPS):
                yield node.lineno


def test_background_work_has_an_owner_that_sees_its_failure() -> None:
    modules = [path for room in ("gateway", "services", "cli") for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(modules) > 500
    found = {str(path.relative_to(ROOT)): list(bare_tasks(path)) for path in modules}
    assert {name for name, lines in found.items() if lines} == BARE.keys()
