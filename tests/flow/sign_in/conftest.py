"""The whole auth service and a provider on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.sign_in import Lab, lab_in


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A tailnet whose person has not signed in yet."""
    async with lab_in(tmp_path) as lab:
        yield lab
