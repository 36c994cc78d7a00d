"""The REST interface's page in a real browser: it builds itself from the document, under its own content policy."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.admin.rest.v1.operations import EVERY
from tests.e2e.alone import Alone

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    server = Alone(tmp_path_factory.mktemp("page"))
    try:
        yield server
    finally:
        server.close()


def test_the_page_offers_every_operation(alone: Alone, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
         "--virtual-time-budget=6000", f"--user-data-dir={tmp_path}", "--dump-dom", f"{alone.url}/api/v1/docs"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.count("<button>Send</button>") == len(EVERY), done.stderr[-2000:]
    assert "/node/{node_id}/approve_routes" in done.stdout
    assert "Content Security Policy" not in done.stderr
