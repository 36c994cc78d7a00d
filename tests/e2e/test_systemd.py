"""The files for systemd, as systemd itself reads them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
HEADSCALE = str(Path(sys.executable).with_name("headscale"))


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with the program where it is here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("the program systemd-analyze is not installed")
    text = (SYSTEMD / "headscale.service").read_text()
    assert "/usr/local/bin/headscale" in text
    file = tmp_path / "headscale.service"
    file.write_text(text.replace("/usr/local/bin/headscale", HEADSCALE))
    return file


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of it, without a running systemd."""
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=30)


def test_systemd_takes_the_unit_without_a_word(unit: Path) -> None:
    said = analyze("verify", str(unit))
    assert (said.returncode, said.stdout + said.stderr) == (0, "")


def test_a_setting_that_systemd_does_not_know_would_be_seen(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("ProtectClock=", "ProtectClocks="))
    assert "ProtectClocks" in analyze("verify", str(unit)).stderr


def test_systemd_calls_the_unit_little_exposed(unit: Path) -> None:
    said = analyze("security", "--offline=true", "--threshold=15", "--no-pager", str(unit))
    assert said.returncode == 0, said.stdout[-300:] + said.stderr


def test_systemd_makes_the_user(tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("the program systemd-sysusers is not installed")
    command = ["systemd-sysusers", f"--root={tmp_path}", "--dry-run", str(SYSTEMD / "headscale.sysusers")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert said.returncode == 0 and "Creating user 'headscale'" in said.stderr, said.stdout + said.stderr
