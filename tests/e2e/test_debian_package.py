"""The Debian package: built, installed into a root of its own, used, removed and purged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.frame.manual import name_of
from cli.frame.tree import tree, walk
from tests.e2e.engine import distribution
from tests.e2e.waiting import wait_for
from tests.flow.moving.installations import DATA, unpack

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


class System:
    """A minimal installation of the host's distribution, without a network."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *words: str, user: str = "root") -> subprocess.Popen[str]:
        """Start a program in it, on a loopback interface of its own."""
        switch = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        inside = ["chroot", str(self.folder), *switch, *words]
        line = 'ip link set lo up 2>/dev/null; exec "$@"'
        return subprocess.Popen(
            ["unshare", "--net", "sh", "-c", line, "sh", *inside],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=CLEAN,
        )  # fmt: skip

    def run(self, *words: str, user: str = "root", fails: bool = False) -> str:
        """Run a program in it, and return what it prints."""
        process = self.start(*words, user=user)
        out, _ = process.communicate(timeout=300)
        assert bool(process.returncode) is fails, (words, out)
        return out

    def has(self, path: str) -> bool:
        """Whether a path exists in it."""
        return os.path.lexists(self.folder / path.lstrip("/"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("dpkg-deb", "mmdebstrap", "unshare", "setpriv"):
        if shutil.which(program) is None:
            pytest.skip(f"the program {program} is not installed")
    if os.geteuid() != 0 or not Path(PYTHON).exists():
        pytest.skip("needs root, and the distribution's own Python")
    out = tmp_path_factory.mktemp("package")
    done = subprocess.run(
        ["sh", ROOT / "deploy/debian/build.sh", out], capture_output=True, text=True, timeout=1500,
        env={**os.environ, "PYTHON": PYTHON},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (made,) = out.glob("smartscale_*.deb")
    return made


@pytest.fixture
def system(package: Path, tmp_path: Path) -> Iterator[System]:
    release, mirror = distribution()
    folder = tmp_path / "root"
    subprocess.run(
        [
            "mmdebstrap", "--variant=apt", "--mode=root", "--include=python3,ca-certificates,man-db",
            f"--customize-hook=copy-in {package} /", release, str(folder), mirror,
        ],
        check=True, capture_output=True, timeout=900,
    )  # fmt: skip
    yield System(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_package_is_installed_used_removed_and_purged(system: System, package: Path) -> None:
    system.run("dpkg", "-i", f"/{package.name}")  # what it depends on is there already
    assert "headscale version v0.29.2" in system.run("headscale", "version")
    assert system.run("stat", "-c", "%U:%G %a", "/var/lib/headscale").strip() == "headscale:headscale 750"
    assert system.run("stat", "-c", "%U:%G %a", "/etc/headscale/config.yaml").strip() == "root:headscale 640"
    pages = {f"{name_of(command)}.1.gz" for command in walk(tree()) if command.summary}
    shown = {path.name for path in (system.folder / "usr/share/man/man1").iterdir()}
    assert pages <= shown
    for place in ("bash-completion/completions/headscale", "zsh/vendor-completions/_headscale",
                  "fish/vendor_completions.d/headscale.fish"):  # fmt: skip
        assert "headscale" in (system.folder / "usr/share" / place).read_text()
    unit = (system.folder / "usr/lib/systemd/system/headscale.service").read_text()
    assert "ExecStart=/usr/bin/headscale serve -c /etc/headscale/config.yaml" in unit

    system.run("install", "-d", "-o", "headscale", "-g", "headscale", "/var/run/headscale")
    assert "ok" in system.run("headscale", "configtest", user="headscale")
    server = system.start("headscale", "serve", "-c", "/etc/headscale/config.yaml", user="headscale")
    try:
        socket = (
            system.folder / "run/headscale/headscale.sock"
        )  # /var/run is a link to /run, which the host would follow
        wait_for("the server listens", lambda: socket.exists() or server.poll() is not None or None, 120)
        wait_for("it answers", lambda: "ok" in _health(system) or None, 60)
        assert "created with id 1" in system.run("headscale", "users", "create", "alice")
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert system.has("/var/lib/headscale/db.sqlite")

    system.run("dpkg", "--remove", "smartscale")
    assert not system.has("/usr/bin/headscale") and not system.has("/usr/lib/smartscale")
    assert system.has("/var/lib/headscale/db.sqlite") and system.has("/etc/headscale/config.yaml")
    system.run("dpkg", "--purge", "smartscale")
    for path in ("/var/lib/headscale", "/etc/headscale", "/usr/share/doc/smartscale", "/usr/bin/smartscale"):
        assert not system.has(path), path
    system.run("getent", "passwd", "headscale", fails=True)


def test_the_package_takes_headscales_place_and_keeps_what_that_one_had(system: System, package: Path) -> None:
    _install_headscale(system)
    state = system.folder / "var/lib/headscale"
    unpack("0.29.2", system.folder / "tmp/old")
    for name in ("db.sqlite", "noise_private.key", "derp_server_private.key"):
        shutil.copy(system.folder / "tmp/old" / name, state / name)
    old = DATA / "0.29.2" / "config.yaml"
    shutil.copy(old, system.folder / "etc/headscale/config.yaml")
    system.run("chown", "-R", "headscale:headscale", "/var/lib/headscale")
    before = (state / "db.sqlite").read_bytes()

    system.run("dpkg", "-i", f"/{package.name}")  # asks nothing: its standard input is closed
    assert (system.folder / "etc/headscale/config.yaml").read_text() == old.read_text()
    system.run("headscale", "import")  # as root, and the server runs as its own user
    checked = system.run("headscale", "db", "check", user="headscale")
    assert checked.strip() == "ok"

    system.run("dpkg", "--purge", "smartscale")
    assert (state / "db.sqlite").read_bytes() == before and (state / "noise_private.key").exists()
    assert not (state / "smartscale.sqlite").exists()
    assert system.has("/etc/headscale/config.yaml")


def _install_headscale(system: System) -> None:
    """Install a package with the name and the files of Headscale's, and a program that does nothing."""
    root = system.folder / "tmp/headscale"
    for folder in ("DEBIAN", "etc/headscale", "usr/bin"):
        (root / folder).mkdir(parents=True)
    control = "Package: headscale\nVersion: 0.29.2\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x\n"
    (root / "DEBIAN/control").write_text(control)
    (root / "DEBIAN/conffiles").write_text("/etc/headscale/config.yaml\n")
    (root / "etc/headscale/config.yaml").write_text("server_url: http://127.0.0.1:8080\n")
    (root / "usr/bin/headscale").write_text("#!/bin/sh\nexit 1\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, f"{root}.deb"], check=True, capture_output=True)
    system.run("dpkg", "-i", "/tmp/headscale.deb")
    system.run("useradd", "--system", "--user-group", "--home-dir", "/var/lib/headscale", "headscale")
    system.run("install", "-d", "-o", "headscale", "-g", "headscale", "-m", "0750", "/var/lib/headscale")


def _health(system: System) -> str:
    process = system.start("headscale", "health")
    return process.communicate(timeout=60)[0]
