"""`make run` on machines that lack something: each failure names the command that helps, and the next run recovers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = """#!/bin/sh
# A Python whose modules are files in $FAKE: venv present or not, pip able to install or not.
case "$*" in
*version_info\\ \\<\\ \\(3,\\ 11\\)*) [ ! -e "$FAKE/old" ] ;;
*"python%d.%d-venv"*) echo python3.11-venv ;;
*"import ensurepip, venv"*) [ -e "$FAKE/venv" ] ;;
*purelib*) [ ! -e "$FAKE/moved" ] ;;
*"import pip"*) [ -e .venv/pip ] ;;
--version) echo Python 3.11.9 ;;
"-m ensurepip"*) [ -e "$FAKE/ensurepip" ] && touch .venv/pip ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && [ ! -e "$FAKE/full" ] && touch .venv/pip ;;
"-m pip install"*) echo "$*" >>"$FAKE/installed"; [ -e "$FAKE/online" ] || exit 1
    case "$*" in *--editable*) touch .venv/bin/headscale; chmod +x .venv/bin/headscale ;; esac ;;
*) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""
ID = '#!/bin/sh\ncase "${1:-}" in -un) echo ada ;; *) cat "$FAKE/uid" ;; esac\n'
APT = """#!/bin/sh
echo "$*" >>"$FAKE/apt"
case "$*" in *install*) [ ! -e "$FAKE/mirror" ] || touch "$FAKE/venv" ;; esac
"""


class Machine:
    """A copy of the script among programs that are not the real ones."""

    def __init__(self, folder: Path) -> None:
        self.project, self.fake, self.bin = folder / "project", folder / "fake", folder / "bin"
        for made in (self.project / "scripts", self.project / "requirements", self.fake, self.bin):
            made.mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / "setup.sh", self.project / "scripts")
        for name in ("pyproject.toml", "requirements/runtime.txt", "requirements/dev.txt"):
            (self.project / name).write_text(name)
        for name, text in (("python3", PYTHON), ("id", ID)):
            self.program(name, text)
        self.has("venv", "online", uid="1000")

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def has(self, *names: str, uid: str = "") -> None:
        for name in names:
            (self.fake / name).touch()
        if uid:
            (self.fake / "uid").write_text(uid + "\n")

    def lacks(self, *names: str) -> None:
        for name in names:
            (self.fake / name).unlink(missing_ok=True)

    def setup(self) -> subprocess.CompletedProcess[str]:
        env = {"PATH": f"{self.bin}:/usr/bin:/bin", "FAKE": str(self.fake), "PYTHON": str(self.bin / "python3")}
        script = self.project / "scripts" / "setup.sh"
        return subprocess.run(["/bin/sh", script, "run"], env=env, capture_output=True, text=True, timeout=60)

    def fails(self, what: str, command: str) -> None:
        done = self.setup()
        assert done.returncode == 1, done.stderr
        assert what in done.stderr
        assert f"  run: {command}" in done.stderr
        assert done.stderr.endswith("  then: make run again\n")
        assert "tests" not in done.stderr, "what is missing is missing for the server"

    def works(self) -> None:
        done = self.setup()
        assert done.returncode == 0, done.stderr
        assert (self.project / ".venv/.installed-runtime.txt").exists()
        assert (self.project / ".venv/bin/headscale").exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_whole_environment_is_kept(machine: Machine) -> None:
    machine.works()
    (machine.fake / "installed").unlink()
    machine.works()
    assert not (machine.fake / "installed").exists()


def test_an_old_python_is_no_python(machine: Machine) -> None:
    machine.has("old")
    for name in ("python3.11", "python3.12", "python3.13"):
        (machine.bin / name).symlink_to("/bin/false")
    machine.fails("no Python 3.11 or newer", "sudo apt-get install python3 python3-venv")
    machine.lacks("old")
    machine.works()


def test_without_venv_an_ordinary_user_is_told_the_package(machine: Machine) -> None:
    machine.lacks("venv")
    machine.program("apt-get", APT)
    machine.fails("cannot make virtual environments", "sudo apt-get install python3.11-venv")
    assert not (machine.fake / "apt").exists(), "not root"
    assert not (machine.project / ".venv").exists()
    machine.has("venv")
    machine.works()


def test_without_venv_root_installs_it(machine: Machine) -> None:
    machine.lacks("venv")
    machine.has(uid="0")
    machine.program("apt-get", APT)
    machine.fails("cannot make virtual environments", "apt-get install python3.11-venv")
    machine.has("mirror")
    machine.works()
    assert "install -y -qq --no-install-recommends python3.11-venv" in (machine.fake / "apt").read_text()


def test_an_environment_that_was_made_half_is_removed_and_the_next_run_recovers(machine: Machine) -> None:
    machine.has("full")
    machine.fails("could not make .venv", "sudo apt-get install --reinstall python3.11-venv")
    assert not (machine.project / ".venv").exists()
    machine.lacks("full")
    machine.works()


def test_without_a_way_to_pypi_it_says_so_and_the_next_run_goes_on(machine: Machine) -> None:
    machine.lacks("online")
    machine.fails("could not install requirements/runtime.txt", "export https_proxy=")
    machine.has("online")
    machine.works()


@pytest.mark.parametrize("broken", ["interrupted", "upgraded", "copied", "empty", "no program"])
def test_a_broken_environment_is_made_again(machine: Machine, broken: str) -> None:
    machine.works()
    venv = machine.project / ".venv"
    if broken == "interrupted":  # while packages were installed
        (venv / ".installed-runtime.txt").unlink()
        (venv / "pip").unlink()
    elif broken == "upgraded":
        machine.has("moved")
    elif broken == "copied":
        (venv / ".made-in").write_text("/another/folder")
    elif broken == "empty":
        shutil.rmtree(venv / "bin")
    else:
        (venv / "bin/headscale").unlink()
    machine.works()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_another_user_is_named_with_the_command_that_gives_it(machine: Machine) -> None:
    machine.works()
    (machine.project / ".venv").chmod(0o500)
    machine.fails("ada may not write to", f"sudo chown -R ada {machine.project}/.venv")
