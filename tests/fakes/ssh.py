"""A node's SSH server as real clients run it, and SSH sessions that wait without one."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
from headscale.v1 import node_pb2

from services.auth.model.login import new_auth_id
from services.auth.model.ssh_check import PendingSshCheck
from services.auth.sql import SqlSshChecks
from services.auth.store.ssh_checks import SshCheckLimits
from services.shared.config.model import DatabaseConfig, SqliteConfig
from services.shared.db.database import create_engine
from services.shared.ids import DEFAULT_TAILNET, NodeId, UserId
from services.shared.keys import NodeKey
from tests.fakes.device import Device
from tests.fakes.noise_client import StreamResetError

RETRY = 0.05
"""Seconds between tries where a real client waits up to ten."""
DEADLINE = 15.0


@dataclass
class Incoming:
    """One session that somebody opens to a device (`ssh/tailssh/tailssh.go`, the loop over SSHAction)."""

    device: Device
    source: Device
    local_user: str = "root"
    banners: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    _log_fields: asyncio.Event = field(default_factory=asyncio.Event)

    def rule(self) -> dict[str, Any] | None:
        """The action of the first rule that matches, as the device's map has it."""
        assert self.source.netmap.node is not None
        mine = {address.partition("/")[0] for address in self.source.netmap.node["Addresses"]}
        for rule in (self.device.netmap.ssh or {}).get("rules", []):
            users = rule["sshUsers"]
            mapped = users.get(self.local_user, users.get("*", ""))
            if mapped and any(principal.get("nodeIP") in mine for principal in rule["principals"]):
                return dict(rule["action"])
        return None

    def url(self) -> str:
        """The address of the rule, with the names filled in."""
        action = self.rule()
        assert action is not None
        filled = action["holdAndDelegate"]
        for name, value in (
            ("$SRC_NODE_ID", self.source.id), ("$DST_NODE_ID", self.device.id), ("$LOCAL_USER", quote(self.local_user)),
        ):  # fmt: skip
            filled = filled.replace(name, str(value))
        return str(filled)

    async def fetch(self, url: str) -> dict[str, Any]:
        """One GET; anything but a 200 is tried again, as real clients do."""
        parts = urlsplit(url)
        while True:
            try:
                assert self.device.client is not None
                stream = await self.device.client.start(f"{parts.path}?{parts.query}", b"", "GET")
                body = await stream.read_all()
                self.statuses.append(stream.status)
                if stream.status == 200:
                    return dict(orjson.loads(body))
            except (ConnectionError, StreamResetError):
                self.statuses.append(0)
            await asyncio.sleep(RETRY)

    async def decide(self) -> dict[str, Any]:
        """What becomes of the session: an action that accepts or rejects."""
        url = self.url()
        async with asyncio.timeout(DEADLINE):
            while True:
                action = await self.fetch(url)
                if message := action.get("message"):
                    self.banners.append(message)
                    self._log_fields.set()
                if action.get("accept") or action.get("reject"):
                    return action
                url = action["holdAndDelegate"]

    async def auth_url(self) -> str:
        """Where the person is sent, once they are told."""
        async with asyncio.timeout(DEADLINE):
            await self._log_fields.wait()
        return self.banners[0].rpartition("visit: ")[2].strip()

    async def auth_id(self) -> str:
        """The last part of it."""
        return (await self.auth_url()).rpartition("/")[2]


async def session_that_waits(database: Path, source: node_pb2.Node, destination: node_pb2.Node) -> str:
    """The auth id of a session that nobody asked for: as one that waits, for whoever only decides."""
    now = datetime.now(UTC)
    check = PendingSshCheck(
        auth_id=new_auth_id(secrets.token_bytes(12)),
        source_id=NodeId(source.id),
        destination_id=NodeId(destination.id),
        source_key=NodeKey.parse(source.node_key),
        user_id=UserId(source.user.id),
        source_name=source.given_name,
        user_name=source.user.name,
        destination_name=destination.given_name,
        local_user="root",
        everywhere=False,
        each_time=True,
        created_at=now,
        expires_at=now + timedelta(minutes=15),
    )
    engine = create_engine(DatabaseConfig(sqlite=SqliteConfig(path=database)))
    try:
        assert (
            await SqlSshChecks(engine, DEFAULT_TAILNET).open(check, SshCheckLimits(1000, 1000, 1000, 1000)) is not None
        )
    finally:
        await engine.dispose()
    return check.auth_id
