"""Policies in a file beside a running control plane: what is changed is tested against the tailnet before it counts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from headscale.v1 import policy_pb2

from services.shared.config.model import PolicyConfig
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

GOOD = """
tests: [{src: 100.64.0.1, accept: ["100.64.0.9:22"], deny: ["100.64.0.9:23"]}]
acls: [{action: accept, src: ["*"], dst: ["100.64.0.9:22"]}]
"""
FAILING = GOOD.replace('dst: ["100.64.0.9:22"]}', 'dst: ["100.64.0.9:23"]}')
OTHER = GOOD + "# another\n"
LEGACY = 'acls: [{action: accept, src: [alice], dst: ["100.64.0.9:22"]}]\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy.yaml"


@pytest.fixture
async def tailnet(tmp_path: Path, path: Path) -> AsyncIterator[Tailnet]:
    write(path, "acls: []\n")
    config = replace(config_in(tmp_path), policy=PolicyConfig(mode="file", path=path))
    async with tailnet_in(tmp_path, config) as running:
        await running.user("alice")
        yield running


def write(path: Path, text: str) -> None:
    path.write_text(text)


async def in_force(tailnet: Tailnet) -> str:
    return str((await tailnet.admin.GetPolicy(policy_pb2.GetPolicyRequest())).policy)


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():  # noqa: ASYNC110  a file is not heard of otherwise
            await asyncio.sleep(0.02)


def refusals(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(str(record.__dict__) for record in caplog.records if record.levelname == "ERROR")


async def test_a_changed_file_is_tested_against_the_tailnet(
    tailnet: Tailnet, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, GOOD)

    async def good() -> bool:
        return await in_force(tailnet) == GOOD

    await until(good)
    write(path, FAILING)

    async def told() -> bool:
        return "test(s) failed" in refusals(caplog)

    await until(told)
    assert await in_force(tailnet) == GOOD


async def test_a_hang_up_signal_tests_too(tailnet: Tailnet, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(path, FAILING)
    os.kill(os.getpid(), signal.SIGHUP)

    async def told() -> bool:
        return "test(s) failed" in refusals(caplog)

    await until(told)
    assert await in_force(tailnet) == "acls: []\n"
    write(path, OTHER)
    os.kill(os.getpid(), signal.SIGHUP)

    async def other() -> bool:
        return await in_force(tailnet) == OTHER

    await until(other)


async def test_at_the_start_an_old_file_names_users_who_are_known_a_moment_later(tmp_path: Path, path: Path) -> None:
    async with tailnet_in(tmp_path) as running:
        await running.user("alice")
    write(path, LEGACY)
    config = replace(config_in(tmp_path), policy=PolicyConfig(mode="file", path=path))
    async with tailnet_in(tmp_path, config) as running:

        async def settled() -> bool:
            try:
                return await in_force(running) == LEGACY
            except Exception:
                return False

        await until(settled)


async def test_a_file_that_names_nobody_yet_counts_once_there_is_somebody(
    tailnet: Tailnet, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = LEGACY.replace("alice", "late")
    write(path, text)

    async def told() -> bool:
        return "late" in refusals(caplog)

    async def taken() -> bool:
        return await in_force(tailnet) == text

    await until(told)
    assert await in_force(tailnet) == "acls: []\n"
    await tailnet.user("late")
    await until(taken)
