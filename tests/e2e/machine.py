"""A machine of its own inside the lab: it sees this one's files, and what it writes to /etc, /var/lib and /run is gone
with it. So the server may be installed there as a guide says, with the paths that it names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.lab import SERVERS, Lab, Process
from tests.e2e.waiting import wait_for

_SET_UP = """
set -e
mount -t tmpfs none {work}
for name in etc var/lib; do
  mkdir -p {work}/$name/upper {work}/$name/work
  mount -t overlay overlay -o lowerdir=/$name,upperdir={work}/$name/upper,workdir={work}/$name/work /$name
done
mount -t tmpfs none /run
echo ready
exec sleep infinity
"""


class Machine:
    """The servers' host with files of its own."""

    def __init__(self, net: Lab) -> None:
        self._net = net
        work = net.folder / "machine"
        work.mkdir()
        self._holder = net.start(
            SERVERS,
            "machine",
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SET_UP.format(work=work)],
        )
        self._environment: dict[str, str] = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        wait_for("the machine is made", self._ready, 10)

    @property
    def files(self) -> list[str]:
        """What to put before a program that shall see the machine's files on another host."""
        return ["nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--"]

    def set(self, **environment: str) -> None:
        """Environment of all that is run from now on."""
        self._environment.update(environment)

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        done = self.run(["sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0"', path], stdin=text)
        assert done.returncode == 0, done.stderr

    def run(
        self, command: Sequence[str] | str, folder: Path | None = None, stdin: str = "", terminal: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a program, or a line as a shell does; `terminal` answers its questions from a keyboard."""
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        if terminal:
            words = ["script", "-qec", command if isinstance(command, str) else " ".join(command), "/dev/null"]
        if folder is not None:
            words = ["sh", "-c", 'cd "$0" && exec "$@"', str(folder), *words]
        return subprocess.run(
            [*self._enter(), *words],
            input=stdin, capture_output=True, text=True, timeout=60,
            env={**os.environ, **self._environment},
        )  # fmt: skip

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
        """Start a program that stays."""
        return self._net.start(SERVERS, name, [*self.files, *command], {**self._environment, **(environment or {})})

    def _enter(self) -> list[str]:
        return ["ip", "netns", "exec", self._net.namespace(SERVERS), *self.files]

    def _ready(self) -> bool:
        assert self._holder.running(), self._holder.text()
        return "ready" in self._holder.text()
