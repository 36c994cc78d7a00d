"""Imports modules of a library without the `__init__` of their package, which would import all the others.

`sqlalchemy.ext.asyncio` imports the object mapper, `prometheus_client` an HTTP server, `uvicorn` its command line:
together 10 MiB and a tenth of a second of every start. Knows no library.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType


def skip_init(package: str) -> None:
    """Let `import package.module` run only that module. No effect on a package that has been imported already.

    The package stays whole for others: the first use of a name that is not one of its modules runs its `__init__`.

    Raises:
        ModuleNotFoundError: there is no such package.
    """
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"no package {package}", name=package)
    loader, module = spec.loader, importlib.util.module_from_spec(spec)

    def run_init(name: str) -> object:
        # The import system asks for a submodule as an attribute first.
        if name.startswith("__") or importlib.util.find_spec(f"{package}.{name}") is not None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        vars(module).pop("__getattr__", None)
        loader.exec_module(module)
        found: object = getattr(module, name)
        return found

    vars(module)["__getattr__"] = run_init
    sys.modules[package] = module
    _bind_to_parent(package, module)


def _bind_to_parent(package: str, module: ModuleType) -> None:
    parent, _, name = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], name, module)
