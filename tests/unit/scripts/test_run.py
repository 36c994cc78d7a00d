"""`make run` around a server: what it prints, what it leaves behind, and what it says to a second one."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.waiting import wait_for

ROOT = Path(__file__).parents[3]
SERVER = f"""#!{sys.executable}
# A server as run.sh knows it: it answers `health`, ends at TERM, and reloads at HUP.
import os, signal, socket, sys
state = os.environ["STATE"]
if "health" in sys.argv:
    try:
        socket.socket(socket.AF_UNIX).connect(state + "/headscale.sock")
    except OSError:
        sys.exit(1)
    sys.exit(0)
signal.signal(signal.SIGHUP, lambda *_: None)
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches it too; here only what run.sh does counts
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
open(state + "/db.sqlite.lock", "w").write(f"{{os.getpid()}}\\n")
listening = socket.socket(socket.AF_UNIX)
if os.path.exists(state + "/headscale.sock"):
    os.unlink(state + "/headscale.sock")
listening.bind(state + "/headscale.sock")
listening.listen(9)
while True:
    signal.pause()
"""


class Project:
    """A clone whose folder has a name with a blank and a quote, and a server that is none."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "ada's clone"
        self.state = self.folder / "state"
        self.started: list[subprocess.Popen[str]] = []
        (self.folder / ".venv/bin").mkdir(parents=True)
        (self.folder / "scripts").mkdir()
        for name in ("run.sh", "saying.sh"):
            shutil.copy(ROOT / "scripts" / name, self.folder / "scripts")
        program = self.folder / ".venv/bin/headscale"
        program.write_text(SERVER)
        program.chmod(0o755)

    def run(self) -> subprocess.Popen[str]:
        env = {"PATH": os.environ["PATH"], "STATE": str(self.state), "HOME": str(self.folder)}
        process = subprocess.Popen(
            ["/bin/sh", self.folder / "scripts/run.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=env, start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def ready(self) -> str:
        """Start it, and return what it prints until it waits."""
        process, said = self.run(), ""
        assert process.stdout is not None
        while "Ctrl-C stops the server" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        return said

    def server(self) -> int:
        return int((self.state / "db.sqlite.lock").read_text())


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    for process in made.started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_commands_are_printed_so_that_a_shell_reads_them(project: Project) -> None:
    said = project.ready()
    command = next(line for line in said.splitlines() if "users create" in line)
    assert shlex.split(command) == [
        ".venv/bin/headscale", "-c", str(project.state / "config.yaml"), "users", "create", "alice",
    ]  # fmt: skip
    config = yaml.safe_load((project.state / "config.yaml").read_text())
    assert config["database"]["sqlite"]["path"] == str(project.state / "db.sqlite")
    assert config["unix_socket"] == str(project.state / "headscale.sock")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_its_end_is_the_end_of_the_server_and_no_failure(project: Project, number: signal.Signals) -> None:
    project.ready()
    server = project.server()
    project.started[0].send_signal(number)
    assert project.started[0].wait(20) == 0
    assert not alive(server)


def test_a_second_one_names_the_first_and_starts_nothing(project: Project) -> None:
    project.ready()
    second = project.run()
    said, _ = second.communicate(timeout=30)
    assert second.returncode == 1
    assert said == (
        f"smartscale: a server runs already with its state in {project.state}; leave it running, or stop it\n"
        f"  run: kill {project.server()}\n  then: make run again\n"
    )
    assert alive(project.server())


def test_a_server_whose_script_was_killed_is_named_and_the_command_helps(project: Project) -> None:
    project.ready()
    project.started[0].kill()
    project.started[0].wait(10)
    left = project.server()
    said, _ = project.run().communicate(timeout=30)
    assert f"  run: kill {left}\n" in said
    os.kill(left, signal.SIGTERM)
    wait_for("it ended", lambda: not alive(left) or None, 20)
    project.ready()


def test_what_was_killed_does_not_keep_the_next_one_from_starting(project: Project) -> None:
    project.ready()
    os.killpg(project.started[0].pid, signal.SIGKILL)
    project.started[0].wait(10)
    assert (project.state / "headscale.sock").exists()
    assert "smartscale runs on http://127.0.0.1:8080" in project.ready()


def test_a_full_disk_leaves_no_half_of_a_configuration(project: Project) -> None:
    programs = project.folder / "bin"
    programs.mkdir()
    for name, text in (
        ("cat", "printf 'server_url'; echo 'cat: write error: No space left on device' >&2; exit 1"),
        ("df", "printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/x 1 1 0 100%% /disk\\n'"),
    ):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    process = subprocess.run(
        ["/bin/sh", project.folder / "scripts/run.sh"], capture_output=True, text=True, timeout=30,
        env={"PATH": f"{programs}:{os.environ['PATH']}", "STATE": str(project.state)},
    )  # fmt: skip
    assert process.returncode == 1
    assert process.stderr == (
        f"smartscale: the disk of {project.state} has no room: 0 MB are free, and 10 MB are needed\n"
        "  run: du -xhd1 /disk | sort -h  # lists what takes the room, so that you can free some\n"
        "  then: make run again\n"
    )
    assert list(project.state.iterdir()) == []
    project.ready()


def test_a_state_folder_that_cannot_be_made_is_named_with_another_place(project: Project) -> None:
    project.state.write_text("a file")
    said, _ = project.run().communicate(timeout=30)
    assert f"may not make the folder {project.state}, or write to it" in said
    assert "  run: make run STATE=~/smartscale-state\n" in said
