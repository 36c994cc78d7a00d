"""The installed server may open as many files as the host lets it, however few its parent was content with."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.alone import Alone


@pytest.fixture
def few() -> Iterator[int]:
    """A parent that may open few files and could have more; gives how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_server_takes_all_the_files_that_it_may_have(few: int, tmp_path: Path) -> None:
    server = Alone(tmp_path)
    try:
        limits = Path(f"/proc/{server.pid}/limits").read_text().splitlines()
        soft, hard = next(line.split()[3:5] for line in limits if line.startswith("Max open files"))
        assert (soft, hard) == (str(few), str(few))
    finally:
        server.close()
