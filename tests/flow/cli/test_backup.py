"""A backup of a running server, restored where no server runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.fakes.tailnet import config_in, tailnet_in
from tests.flow.cli.world import PROGRAM


async def run(folder: Path, *words: str) -> str:
    """Run the installed program with the configuration of a folder; what it prints."""
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "-c", str(folder / "config.yaml"), *words, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, cwd=folder, env={"HOME": str(folder), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


def write_config(folder: Path) -> None:
    """Write a configuration with all its state in the folder."""
    folder.joinpath("config.yaml").write_text(
        f"server_url: http://127.0.0.1:8080\nunix_socket: {folder}/admin.sock\nstate_dir: {folder}\n"
        f"database: {{type: sqlite, sqlite: {{path: {folder}/db.sqlite}}}}\n"
        f"noise: {{private_key_path: {folder}/noise_private.key}}\n"
    )


async def test_a_backup_of_a_running_server_is_restored_in_another_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    write_config(here)
    write_config(there)
    async with tailnet_in(here, config_in(here)) as tailnet:
        await tailnet.user("alice")
        await run(here, "backup", "create", str(tmp_path / "backup"))
    assert "restored" in await run(there, "backup", "restore", str(tmp_path / "backup"))
    assert (there / "noise_private.key").read_text() == (here / "noise_private.key").read_text()
    async with tailnet_in(there, config_in(there)) as tailnet:
        assert await tailnet.auth_key(1)
