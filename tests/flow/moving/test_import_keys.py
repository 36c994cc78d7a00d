"""Private keys of Noise and of the relay are taken over from where each release keeps them; old files stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.moving.moving import ImportOptions, run
from services.shared.config import load
from services.shared.keys import PrivateKey
from tests.flow.moving.installations import unpack


async def imported(folder: Path, **wishes: str) -> None:
    """Import with the configuration of a folder."""
    await run(load(folder / "config.yaml", {}), ImportOptions(**wishes), lambda report: None)  # type: ignore[arg-type]


async def test_a_relay_key_of_0_22_in_a_folder_of_its_own_stays_the_relays_key(tmp_path: Path) -> None:
    """`private_key_path` was the key of the old protocol and of the relay; `noise.private_key_path` is elsewhere."""
    other = tmp_path / "etc" / "keys"
    other.mkdir(parents=True)
    unpack("0.22.3", tmp_path / "state", {"private_key_path": str(other / "legacy.key")})
    old = other / "legacy.key"
    (tmp_path / "state" / "private.key").rename(old)
    before = old.read_bytes(), old.stat()
    config = load(tmp_path / "state" / "config.yaml", {})
    assert config.derp.server.private_key_path == old
    await imported(tmp_path / "state")
    after = old.stat()
    assert (old.read_bytes(), after.st_mode, after.st_mtime_ns) == (before[0], before[1].st_mode, before[1].st_mtime_ns)
    assert not (tmp_path / "state" / "derp_server_private.key").exists()


@pytest.mark.parametrize(("release", "name"), [("0.22.3", "private.key"), ("0.29.2", "derp_server_private.key")])
async def test_the_relays_key_beside_a_noise_key_that_is_named_is_taken_over(
    release: str, name: str, tmp_path: Path
) -> None:
    unpack(release, tmp_path / "backup")
    keys = {"noise.private_key_path": "noise.key", "derp.server.private_key_path": "derp.key"}
    new = {key: str(tmp_path / "new" / file) for key, file in keys.items()}
    unpack("0.29.2", tmp_path / "new", {**new, "database.sqlite.path": str(tmp_path / "new" / "smartscale.sqlite")})
    old = tmp_path / "backup"
    await imported(
        tmp_path / "new", source=str(old / "db.sqlite"), noise_key=str(old / "noise_private.key"),
        policy=str(tmp_path / "new" / "policy.hujson"),
    )  # fmt: skip
    for file, source in (("noise.key", "noise_private.key"), ("derp.key", name)):
        made = tmp_path / "new" / file
        assert PrivateKey.parse(made.read_text()) == PrivateKey.parse((old / source).read_text())
        assert made.stat().st_mode & 0o777 == 0o600
