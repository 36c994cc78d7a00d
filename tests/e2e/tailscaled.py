"""Official clients of chosen releases, built by the Go tools from their published module: daemon and command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.clients import Client
from tests.e2e.waiting import wait_for

BUILD = 3600
"""Seconds; the Go tools keep what they built, so that a second build takes some."""


def missing() -> str | None:
    """Why no client can be built, or None."""
    return None if shutil.which("go") else "the program go is not installed"


def build(release: str, folder: Path) -> Path:
    """Build daemon and command line of a release. Returns their folder."""
    programs = [f"tailscale.com/cmd/{name}@{release}" for name in ("tailscale", "tailscaled")]
    environment = {**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0", "GOFLAGS": "-p=1"}
    done = subprocess.run(
        ["go", "install", *programs], env=environment, capture_output=True, text=True, timeout=BUILD, cwd=folder
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


class Tailscaled(Client):
    """`tailscaled` with networking in user space, and `tailscale` beside it."""

    programs = Path()

    def start(self) -> None:
        """Start the daemon, or start it again on its saved state."""
        command = [str(self.programs / "tailscaled"), "--tun=userspace-networking", f"--statedir={self.folder}/state"]
        self.process = self.lab.start(
            self.host, self._log_name(), [*command, f"--socket={self.folder}/socket"], self._environment()
        )
        wait_for("the daemon takes commands", lambda: self.command("version", "--daemon")[0] == 0 or None, 60)

    def command(self, *arguments: str, timeout: float = 30.0) -> tuple[int, str]:
        """Run `tailscale`. Returns its status and what it printed; 124 if it did not end in time."""
        command = [str(self.programs / "tailscale"), f"--socket={self.folder}/socket", *arguments]
        try:
            done = subprocess.run(
                ["ip", "netns", "exec", self.lab.namespace(self.host), *command],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                env={**os.environ, **self._environment()},
            )
        except subprocess.TimeoutExpired as expired:
            return 124, (expired.stdout or b"").decode(errors="replace")
        return done.returncode, done.stdout

    def up(self, *arguments: str, timeout: float = 60.0) -> tuple[int, str]:
        """Run `tailscale up` against the control server."""
        key = [f"--auth-key={self.auth_key}"] if self.auth_key else []
        return self.command("up", f"--login-server={self.control}", *key, *arguments, timeout=timeout)

    def status(self) -> dict[str, Any]:
        """What `tailscale status --json` says."""
        found: dict[str, Any] = json.loads(self.command("status", "--json")[1])
        return found

    def health(self) -> str:
        """The problems that the client shows, in one text."""
        return " | ".join(self.status().get("Health") or [])
