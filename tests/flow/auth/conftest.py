"""The whole auth service, with two users."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fakes.auth import AuthTailnet, auth_tailnet, config_for


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[AuthTailnet]:
    """One instance, alice and bob."""
    async with auth_tailnet(config_for(tmp_path)) as running:
        running.registry.add_user("alice")
        running.registry.add_user("bob")
        yield running
