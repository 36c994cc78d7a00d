"""A tailnet, an API key, and REST with that key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from headscale.v1 import apikey_pb2

from tests.fakes.tailnet import Tailnet, config_in, tailnet_in


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    """One that does not count calls, unless a test makes its own."""
    async with tailnet_in(tmp_path, config_in(tmp_path, admin_calls_per_second=10_000)) as running:
        yield running


@pytest.fixture
async def key(tailnet: Tailnet) -> str:
    """An API key that lasts."""
    return str((await tailnet.admin.CreateApiKey(apikey_pb2.CreateApiKeyRequest())).api_key)


@pytest.fixture
async def web(tailnet: Tailnet, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """REST, with that key."""
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=tailnet.url + "/api/v1", headers=headers, timeout=20) as client:
        yield client
