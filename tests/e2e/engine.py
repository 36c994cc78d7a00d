"""A container engine of the test's own: dockerd on a private socket, with base images made of distribution packages.

No image registry is needed. Images stay in a cache folder between runs; the daemon, its bridge and its changes to
forwarding go away with `close()`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.waiting import wait_for

CACHE = Path(os.environ.get("SMARTSCALE_ENGINE_CACHE", "/var/tmp/smartscale-engine"))
BASE = "smartscale-test-base:2"
"""The number rises when what is in it changes, so that a cached one is not taken for it."""
STAND_INS = {"postgres": "POSTGRES_IMAGE", "redis": "REDIS_IMAGE", "otel": "OTEL_IMAGE"}
_IMAGES = Path(__file__).with_name("images")


def missing() -> str | None:
    """Why no engine can run here, or None."""
    if os.geteuid() != 0:
        return "a container engine needs root"
    for program in ("dockerd", "docker", "mmdebstrap", "iptables"):
        if shutil.which(program, path=_PATH) is None:
            return f"the program {program} is not installed"
    if shutil.which("docker-compose", path=_PATH) is None:
        return "docker-compose is not installed"
    if _release() != "bookworm":
        return "the packaged collector needs the libpython3.11 of Debian 12"
    return None


def distribution() -> tuple[str, str]:
    """The release of the host's distribution, and the mirror that the host takes it from."""
    release = _release()
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]
    sources = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return release, next(line.split()[0] for line in sources if line.split()[1:] == [release])


def _release() -> str:
    lines = Path("/etc/os-release").read_text().replace('"', "").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line).get("VERSION_CODENAME", "")


_PATH = f"{Path(sys.executable).parent}:/usr/bin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Engine:
    """dockerd and what tests need of it."""

    def __init__(self) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        self.environment = {
            **os.environ,
            "PATH": _PATH,
            "DOCKER_HOST": f"unix://{CACHE}/docker.sock",
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
        }
        self._rules = self.run("iptables-save")
        self._forward = Path("/proc/sys/net/ipv4/ip_forward").read_text()
        with (CACHE / "dockerd.log").open("wb") as log:
            self._daemon = subprocess.Popen(
                ["dockerd", "-H", f"unix://{CACHE}/docker.sock", "--data-root", f"{CACHE}/data", "--exec-root",
                 f"{CACHE}/exec", "--pidfile", f"{CACHE}/dockerd.pid"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, start_new_session=True,
            )  # fmt: skip
        try:
            wait_for("the container engine answers", self._answers, 60, 0.2)
            self._make_base()
            self._make_stand_ins()
        except BaseException:
            self.close()
            raise

    def run(self, *command: str, timeout: float = 600, check: bool = True) -> str:
        """Run a client command; its output, or the failure with all that it said."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def close(self) -> None:
        """Stop the daemon and take back what it changed on the host."""
        self._daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._daemon.wait(30)
        if self._daemon.poll() is None:
            self._daemon.kill()
            self._daemon.wait(10)
        subprocess.run(["ip", "link", "del", "docker0"], capture_output=True, env=self.environment)
        subprocess.run(["iptables-restore"], input=self._rules, text=True, capture_output=True, env=self.environment)
        Path("/proc/sys/net/ipv4/ip_forward").write_text(self._forward)

    def _answers(self) -> bool:
        assert self._daemon.poll() is None, (CACHE / "dockerd.log").read_text()[-2000:]
        return subprocess.run(["docker", "info"], capture_output=True, env=self.environment).returncode == 0

    def _has(self, image: str) -> bool:
        return bool(json.loads(self.run("docker", "image", "inspect", image, check=False) or "[]"))

    def _make_base(self) -> None:
        """The host's own distribution with Python, PostgreSQL and Redis; trusting what the host trusts."""
        if self._has(BASE):
            return
        release, mirror = distribution()
        archive = CACHE / "base.tar"
        self.run(
            "mmdebstrap", "--variant=apt", "--mode=root",
            "--include=python3,python3-venv,libpython3.11,ca-certificates,postgresql,redis-server",
            "--customize-hook=ln -sf /usr/bin/python3 $1/usr/local/bin/python",
            "--customize-hook=copy-in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs",
            release, str(archive), mirror,
        )  # fmt: skip
        self.run("docker", "import", "-c", 'CMD ["python3"]', str(archive), BASE)
        archive.unlink()

    def _make_stand_ins(self) -> None:
        context = CACHE / "context"
        shutil.copytree(_IMAGES, context, dirs_exist_ok=True)
        spec = importlib.util.find_spec("rotel")
        assert spec is not None and spec.origin is not None
        agent = next(p for p in Path(spec.origin).parent.rglob("rotel-agent") if p.is_file())
        shutil.copy2(agent, context / "rotel-agent")
        (context / "rotel-agent").chmod(0o755)
        for target, variable in STAND_INS.items():
            image = f"smartscale-test-{target}:local"
            self.run(
                "docker", "build", "-q", "--target", target, "--build-arg", f"BASE={BASE}", "-t", image, str(context)
            )
            self.environment[variable] = image
        self.environment["PYTHON_IMAGE"] = BASE
