"""A started server has loaded only what it uses: each library that waits until something asks for it is listed here."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.fakes.ports import free_port

ROOT = Path(__file__).parents[3]

WAITING = {
    "alembic": "tables that are behind",
    "asyncpg": "PostgreSQL",
    "sqlalchemy.dialects.postgresql": "PostgreSQL",
    "sqlalchemy.orm": "nothing: statements are written in Core",
    "redis": "a bus between processes",
    "aiosqlite": "SQLite without a write-ahead log",
    "httpx": "a sign-in provider",
    "joserfc": "the keys of a provider",
    "authlib": "a sign-in",
    "fastapi": "a page or a call of REST",
    "pydantic": "a page or a call of REST",
    "wsproto": "a browser's tunnel or relay",
    "h11": "a browser's tunnel or relay",
    "uvicorn.main": "nothing: we start its server ourselves",
    "uvicorn.supervisors": "nothing: we start its server ourselves",
    "prometheus_client.exposition": "a reader of metrics",
    "http.server": "a reader of metrics",
    "grpc_reflection.v1alpha": "grpcurl, or a server on a port of its own",
    "acme": "a certificate to order",
    "difflib": "a comparison of policies",
    "opentelemetry.sdk": "an endpoint for traces",
    "opentelemetry.exporter": "an endpoint for traces",
    "gateway.admin.rest.v1.openapi": "a reader of the document",
    "gateway.admin.rest.v2.openapi": "a reader of the document",
    "services.auth.doctor": "headscale oidc doctor",
}
"""Modules by what has to ask for them."""

CONFIG = """\
server_url: http://127.0.0.1:{web}
listen_addr: 127.0.0.1:{web}
metrics_listen_addr: 127.0.0.1:{metrics}
grpc_listen_addr: 127.0.0.1:{grpc}
unix_socket: {folder}/s.sock
noise: {{private_key_path: {folder}/noise.key}}
prefixes: {{v4: 100.64.0.0/10}}
dns: {{magic_dns: false, override_local_dns: false, base_domain: tail.example.net}}
derp:
  server:
    enabled: true
    region_id: 999
    region_code: here
    region_name: Here
    listen_addr: 127.0.0.1:{relay}
    stun_listen_addr: 127.0.0.1:{stun}
    private_key_path: {folder}/derp.key
  urls: []
database: {{type: sqlite, sqlite: {{path: {folder}/db.sqlite}}}}
"""


async def loaded_until_healthy(config: Path, web: int) -> set[str]:
    """Start an embedded server, stop it once it is healthy, and return the names of the modules that it loaded."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-X", "importtime", "-m", "cli", "serve", "-c", str(config),
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/proto/gen"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output = asyncio.create_task(program.communicate())
    try:
        async with asyncio.timeout(90), httpx.AsyncClient() as client:
            while not await healthy(client, web):
                assert not output.done(), output.result()[1].decode()[-2000:]
                await asyncio.wait({output}, timeout=0.1)
    finally:
        if program.returncode is None:
            program.send_signal(signal.SIGTERM)
        out, err = await output
    return set(re.findall(r"^import time:.*\| +(\S+)$", (out + err).decode(), re.MULTILINE))


async def healthy(client: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/health")).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture
async def loaded(tmp_path: Path) -> set[str]:
    ports = {name: free_port() for name in ("web", "metrics", "grpc", "stun", "relay")}
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(folder=tmp_path, **ports))
    first = await loaded_until_healthy(config, ports["web"])
    assert "alembic" in first, "the first start makes the tables"
    return await loaded_until_healthy(config, ports["web"])


async def test_a_started_server_has_not_loaded_what_it_does_not_use(loaded: set[str]) -> None:
    assert {"gateway.edge.listener", "services.registry.rpc.servicer"} <= loaded
    found = sorted(name for name in loaded if any(name == one or name.startswith(f"{one}.") for one in WAITING))
    assert found == []
