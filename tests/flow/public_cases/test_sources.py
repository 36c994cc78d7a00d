"""Files that other programs write: relays, records, Headscale's database, and a folder that nobody may write to."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from tests.flow.cli.world import PROGRAM
from tests.flow.public_cases.folder import copy_of, elsewhere, run, serving

BASE = (
    "server_url: https://hs.example.net\nnoise: {private_key_path: ./noise.key}\n"
    "prefixes: {v4: 100.64.0.0/10}\ndatabase: {type: sqlite, sqlite: {path: ./db.sqlite}}\n"
)


async def test_records_of_a_file_are_checked_like_those_of_the_configuration(tmp_path: Path) -> None:
    folder = copy_of("31-extra-records-file-bad-entries", tmp_path)
    dns = "dns: {base_domain: ts.example.net, override_local_dns: false, extra_records_path: ./extra.json}\n"
    (folder / "config.yaml").write_text(BASE + dns)
    async with serving(folder) as server:
        device = await server.device("ada")
        records = (device.netmap.dns or {}).get("ExtraRecords")
        await device.close()
    assert [(one["Name"], one["Value"]) for one in records or ()] == [("d.ts.example.net", "10.1.1.1")]
    log = "".join(server.log)
    assert "a.ts.example.net" in log and "CNAME" in log and "c.ts.example.net" in log


async def test_a_node_without_region_id_has_that_of_its_region(tmp_path: Path) -> None:
    folder = copy_of("48-derp-file-node-without-region", tmp_path)
    (folder / "config.yaml").write_text(BASE + "dns: {magic_dns: false, override_local_dns: false}\n")
    async with serving(folder, HEADSCALE_DERP_PATHS=str(folder / "derp.yaml")) as server:
        device = await server.device("ada")
        region = (device.netmap.derp_map or {})["Regions"]["900"]
        await device.close()
    assert (region["RegionID"], region["Nodes"][0]["RegionID"]) == (900, 900)


async def test_the_log_says_why_a_file_of_relays_is_of_no_use(tmp_path: Path) -> None:
    folder = copy_of("50-derp-error-without-cause", tmp_path)
    (folder / "config.yaml").write_text(BASE + "dns: {magic_dns: false, override_local_dns: false}\n")
    both = f"{folder / 'derp.yaml'},{tmp_path / 'relay.yaml'}"
    async with serving(folder, HEADSCALE_DERP_PATHS=both) as server:
        pass
    assert any("derp.yaml" in line and "region 900 is not a mapping" in line for line in server.log), server.log


async def test_a_database_of_headscale_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    from tests.flow.moving.installations import unpack

    copy_of("05-existing-headscale-database", tmp_path)
    folder = tmp_path / "headscale"
    config = unpack("0.29.2", folder)
    path = config.database.sqlite.path
    before = path.read_bytes()
    env = {name: value for name, value in elsewhere(tmp_path).items() if "STATE" not in name}
    answer = await run(folder, env, "-c", "config.yaml", "serve")
    assert answer.status == 1, answer
    assert str(path) in answer.err and "Headscale" in answer.err and "config.yaml import" in answer.err, answer
    assert path.read_bytes() == before
    with closing(connect(path)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    assert not any(table.startswith("registry_") for table in tables)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="root alone may become another user")
@pytest.mark.parametrize("mode", [0o755, 0o700])
async def test_a_folder_that_another_user_owns_is_named_with_the_command_that_helps(tmp_path: Path, mode: int) -> None:
    folder = copy_of("63-state-folder-not-writable", tmp_path)
    for above in (folder, *list(folder.parents)[:-2]):
        above.chmod(0o755)
    (folder / "data").mkdir(mode=mode)
    env = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    run_as = ("setpriv", "--reuid", "10001", "--regid", "10001", "--clear-groups")
    for words in ("serve", "configtest"):
        process = await asyncio.create_subprocess_exec(
            *run_as, str(PROGRAM), "-c", "config.yaml", words, cwd=folder, env=env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out = (await process.communicate())[0].decode()
        assert process.returncode == 1 and "Traceback" not in out, out
        assert "cannot be written by uid 10001" in out and f"chown 10001 {folder}/data" in out, out
