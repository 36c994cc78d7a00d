"""`asyncio.wait_for` is not used: before Python 3.12 it loses a cancellation that comes as its work is done."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_module_of_the_product_calls_wait_for() -> None:
    files = [file for top in ("services", "gateway", "cli") for file in (ROOT / top).rglob("*.py")]
    assert [str(file) for file in files if "asyncio.wait_for(" in file.read_text()] == []
