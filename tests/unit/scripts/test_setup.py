"""`make run` on machines that lack something: each failure names the command that helps, and the next run recovers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = """#!/bin/sh
# A Python whose modules are files in $FAKE: venv present or not, pip able to install or not.
case "$*" in
*version_info\\ \\<\\ \\(3,\\ 11\\)*) [ ! -e "$FAKE/old" ] ;;
*"python%d.%d-venv"*) echo python3.11-venv ;;
*"import ensurepip, venv"*) [ -e "$FAKE/venv" ] ;;
scripts/whole.py) [ ! -e "$FAKE/moved" ] ;;
*"import pip"*) [ -e .venv/pip ] ;;
--version) echo Python 3.11.9 ;;
"-m ensurepip"*) [ -e "$FAKE/ensurepip" ] && touch .venv/pip ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && [ ! -e "$FAKE/full" ] && touch .venv/pip ;;
"-m pip config"*) exit 1 ;;
"-m pip install"*) echo "$*" >>"$FAKE/installed"; [ ! -e "$FAKE/killed" ] || kill -9 $$
    [ ! -e "$FAKE/fills" ] || mv "$FAKE/fills" "$FAKE/no-room"
    [ -e "$FAKE/online" ] || { cat "$FAKE/output"; exit 1; }
    case "$*" in *--editable*) touch .venv/bin/headscale; chmod +x .venv/bin/headscale ;; esac ;;
*) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""
ID = '#!/bin/sh\ncase "${1:-}" in -un) echo ada ;; *) cat "$FAKE/uid" ;; esac\n'
APT = """#!/bin/sh
echo "$*" >>"$FAKE/apt"
case "$*" in *install*) [ ! -e "$FAKE/mirror" ] || touch "$FAKE/venv" ;; esac
"""
CACHE = '#!/bin/sh\n[ "$*" = "show $(cat "$FAKE/packaged")" ]\n'
DF = """#!/bin/sh
for place; do :; done
free=9000000; grep -qxF "$place" "$FAKE/no-room" 2>/dev/null && free=2048
printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 1 1 %s 1%% /a disk\\n' $free
"""


class Machine:
    """A copy of the script among programs that are not the real ones."""

    def __init__(self, folder: Path) -> None:
        self.project, self.fake, self.bin = folder / "project", folder / "fake", folder / "bin"
        for made in (self.project / "scripts", self.project / "requirements", self.fake, self.bin):
            made.mkdir(parents=True)
        for name in ("setup.sh", "saying.sh", "pip.sh"):
            shutil.copy(ROOT / "scripts" / name, self.project / "scripts")
        for name in ("pyproject.toml", "requirements/runtime.txt", "requirements/dev.txt"):
            (self.project / name).write_text(name)
        for name, text in (("python3", PYTHON), ("id", ID), ("df", DF)):
            self.program(name, text)
        self.has("venv", "online", uid="1000")

    def folder(self, name: str) -> Path:
        return self.project if name == "project" else Path(name)

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

    def setup(self, **more: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": f"{self.bin}:/usr/bin:/bin", "FAKE": str(self.fake), "PYTHON": str(self.bin / "python3"), **more}
        script = self.project / "scripts" / "setup.sh"
        return subprocess.run(["/bin/sh", script, "run"], env=env, capture_output=True, text=True, timeout=60)

    def fails(self, what: str, command: str, **more: str) -> str:
        done = self.setup(**more)
        assert done.returncode == 1, done.stderr
        assert what in done.stderr
        assert f"  run: {command}" in done.stderr
        assert done.stderr.endswith("  then: make run again\n")
        assert "tests" not in done.stderr, "what is missing is missing for the server"
        assert len(done.stderr.splitlines()) <= 6 and not re.search(r"Traceback|Errno|WARNING|ERROR", done.stderr)
        subprocess.run(["/bin/sh", "-n", "-c", command], check=True)  # it can be pasted
        return done.stderr

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
    os.utime(machine.project / "pyproject.toml", (2**32, 2**32))  # as by git, without a change
    machine.works()
    assert not (machine.fake / "installed").exists()
    (machine.project / "pyproject.toml").write_text("other")
    machine.works()
    assert "--editable" in (machine.fake / "installed").read_text()


def test_an_old_python_is_no_python(machine: Machine) -> None:
    machine.has("old")
    for name in ("python3.11", "python3.12", "python3.13"):
        (machine.bin / name).symlink_to("/bin/false")
    machine.program("apt-cache", CACHE)
    (machine.fake / "packaged").write_text("python3.12-venv")
    machine.fails("no Python 3.11 or newer found, only Python 3.11.9", "sudo apt-get install python3.12-venv")
    (machine.fake / "packaged").write_text("none")
    machine.fails("no package of one is known to apt", "make run PYTHON=/path/to/python3.12  # once you installed one")
    machine.fails(
        "no Python 3.11 or newer found", "sudo apt-get install python3 python3-venv", PYTHON="/nowhere/python3"
    )
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


PROXY = "export https_proxy=http://HOST:PORT  # if this network has a proxy"
FAILURES = {
    "no name server": (
        "WARNING: Retrying after NewConnectionError: [Errno -3] Temporary failure in name resolution\n"
        "ERROR: No matching distribution found for acme==5.9.0",
        "pypi.org cannot be reached, its name is not resolved", PROXY,
    ),
    "no route": ("[Errno 101] Network is unreachable: Max retries exceeded", "the connection to pypi.org fails", PROXY),
    "lost": ("ReadTimeoutError('Read timed out. (read timeout=15)')", "the connection to pypi.org fails", PROXY),
    "closed": ("IncompleteRead(81920 bytes read, 1000 more expected)", "the connection to pypi.org fails", PROXY),
    "inspected": (
        "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]",
        "the certificate of pypi.org is not trusted",
        "export PIP_CERT=/etc/ssl/certs/ca-certificates.crt",
    ),
    "proxy": ("ProxyError('Cannot connect to proxy.', [Errno 113] No route", "the proxy http://proxy:3128", PROXY),
    "other package": (
        "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "not the one whose checksum",
        ".venv/bin/python -m pip cache purge",
    ),
    "mirror": (
        "ERROR: No matching distribution found for acme==5.9.0", "pypi.org has no acme==5.9.0",
        "export PIP_INDEX_URL=https://pypi.org/simple",
    ),
    "to compile": (
        "error: subprocess-exited-with-error", "no build for this machine",
        "sudo apt-get install build-essential python3-dev",
    ),
    "anything": ("it broke at https://ada:secret@pypi.example/x", "https://pypi.example/x", "rm -rf .venv"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_of_pip_is_explained_and_the_next_run_goes_on(machine: Machine, name: str) -> None:
    output, what, command = FAILURES[name]
    machine.lacks("online")
    (machine.fake / "output").write_text(output + "\n")
    more = {"https_proxy": "http://ada:secret@proxy:3128"} if name == "proxy" else {}
    text = machine.fails(what, command, **more)
    assert "could not install requirements/runtime.txt" in text and "secret" not in text
    machine.has("online")
    machine.works()


def test_the_index_of_ones_own_is_named_without_its_password(machine: Machine) -> None:
    machine.lacks("online")
    (machine.fake / "output").write_text("Connection refused\n")
    text = machine.fails(
        "to mirror.example:8443 fails", PROXY, PIP_INDEX_URL="https://ada:secret@mirror.example:8443/simple"
    )
    assert "secret" not in text


FULL = [
    ("project", "the disk of {} has no room: 2 MB are free, and 300 MB are needed", "du -xhd1 '/a disk' | sort -h"),
    ("/tmp", "the disk of {}, where pip keeps downloads, has no room", "mkdir -p ~/tmp && export TMPDIR=~/tmp"),
]


@pytest.mark.parametrize(("place", "what", "command"), FULL)
def test_a_full_disk_is_named_before_anything_is_made_on_it(
    machine: Machine, place: str, what: str, command: str
) -> None:
    place = str(machine.folder(place))
    (machine.fake / "no-room").write_text(f".\n{place}\n" if place != "/tmp" else f"{place}\n")
    machine.fails(what.format(place), command)
    assert not (machine.project / ".venv").exists()
    machine.lacks("no-room")
    machine.works()


@pytest.mark.parametrize(("place", "what", "command"), FULL)
def test_a_disk_that_fills_while_packages_are_installed_is_named(
    machine: Machine, place: str, what: str, command: str
) -> None:
    place = str(machine.folder(place))
    machine.lacks("online")
    (machine.fake / "output").write_text("ERROR: Could not install packages due to an OSError: [Errno 28]\n")
    (machine.fake / "fills").write_text(f".\n{place}\n" if place != "/tmp" else f"{place}\n")
    machine.fails(what.format(place), command)
    assert (machine.project / ".venv").exists() == (place == "/tmp"), "what takes the room is removed"
    machine.lacks("no-room")
    machine.has("online")
    machine.works()


def test_an_installation_that_was_cut_off_is_made_again(machine: Machine) -> None:
    machine.has("killed")
    assert machine.setup().returncode
    (machine.project / ".venv/half").touch()
    machine.lacks("killed")
    machine.works()
    assert not (machine.project / ".venv/half").exists()


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
def test_a_folder_of_another_user_is_named_with_the_command_that_helps(machine: Machine) -> None:
    machine.works()
    (machine.project / ".venv").chmod(0o500)
    machine.fails("ada may not write to", f"sudo chown -R ada {machine.project}/.venv")
    (machine.project / ".venv").chmod(0o700)
    machine.project.chmod(0o500)
    machine.fails("ada may not write to", f"cp -r {machine.project} ~/smartscale && cd ~/smartscale")
    machine.project.chmod(0o700)


def test_packages_that_lost_files_are_noticed(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    (home,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    files = {"one/__init__.py": "", "one/'it, too'.py": "", "one-1.dist-info/METADATA": "Name: one\n"}
    record = "".join(f'"{name}",sha256=x,1\n' if "," in name else f"{name},sha256=x,1\n" for name in files)
    files["one-1.dist-info/RECORD"] = record + "one/__pycache__/__init__.pyc,,\n"
    for name, text in files.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)

    def whole() -> bool:
        return not subprocess.run([tmp_path / "venv/bin/python", ROOT / "scripts/whole.py"], timeout=60).returncode

    assert whole()
    for name in ("one/__init__.py", "one/'it, too'.py", "one-1.dist-info/RECORD"):
        (home / name).rename(tmp_path / "away")
        assert not whole(), name
        (tmp_path / "away").rename(home / name)
    (home / "~ne").mkdir()
    assert not whole(), "pip was ended while it replaced a package"
