"""The file of the control key."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.process.keyfile import load_or_create
from services.shared.keys import KeyFormatError


@pytest.mark.statement(3)
def test_the_key_is_made_once_and_readable_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "noise_private.key"
    key = load_or_create(path)
    assert load_or_create(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().startswith("privkey:")
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_gateways_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    path = tmp_path / "noise_private.key"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: load_or_create(path).raw, range(16)))
    assert len(keys) == 1


@pytest.mark.parametrize("text", ["", "privkey:00", "mkey:" + "1" * 64, "privkey:" + "g" * 64, "\u00ff" * 72])
def test_a_file_that_holds_no_key_is_never_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "noise_private.key"
    path.write_text(text)
    with pytest.raises(KeyFormatError):
        load_or_create(path)
    assert path.read_text() == text
