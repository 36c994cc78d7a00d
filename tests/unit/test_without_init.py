"""Libraries that are imported in parts: each of their modules can still be imported later, by whoever wants it."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

import pytest

PROGRAM = dedent(
    """
    import importlib, json, os, pkgutil, sys
    package, first = sys.argv[1], sys.argv[2]
    importlib.import_module(first)
    spec = importlib.util.find_spec(package)
    names = [package + "." + found.name for found in pkgutil.iter_modules(spec.submodule_search_locations)]
    failed = []
    for name in [package, *names]:
        child = os.fork()
        if not child:
            try:
                importlib.import_module(name)
            except Exception as error:
                os._exit(3 if isinstance(error, ModuleNotFoundError) else 4)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        failed += [name] if status == 4 else []
    print(json.dumps(failed))
    """
)
PARTS = {
    "prometheus_client": "services.shared.telemetry.instruments",
    "uvicorn": "services.shared.uvicorn_parts",
    "sqlalchemy.ext.asyncio": "services.shared.db.engine",
}
CIRCULAR = {"prometheus_client": ["prometheus_client.asgi"]}
"""Modules that only the package's `__init__` can import, in its order: import their names from the package."""


@pytest.mark.parametrize("package", PARTS)
def test_each_module_of_a_library_can_be_imported_after_its_parts(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, package, PARTS[package]],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == CIRCULAR.get(package, [])
