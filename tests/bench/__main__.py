"""Runs benchmarks by name, or all: `python -m tests.bench [NAME…]`. Each module here with a `main` is one."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path


def names() -> list[str]:
    """The benchmarks that there are."""
    found = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in found if not name.startswith("_") and hasattr(_module(name), "main"))


def _module(name: str) -> object:
    return import_module(f"tests.bench.{name}")


def main() -> int:
    """Run them in turn; the exit status is that of the worst."""
    known = names()
    wanted = sys.argv[1:] or known
    if unknown := [name for name in wanted if name not in known]:
        print(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    worst = 0
    for name in wanted:
        print(f"# {name}", flush=True)
        worst = max(worst, int(_module(name).main()))  # type: ignore[attr-defined]
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
