"""A throwaway PostgreSQL server of the machine's own programs, on a unix socket only, ended with the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.shared.config.model import DatabaseConfig, PostgresConfig

MISSING = "PostgreSQL's programs are not installed (apt-get install postgresql)"


def programs() -> Path | None:
    """Where initdb and postgres are; None when they are not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextmanager
def postgres() -> Iterator[DatabaseConfig]:
    """Run a server; gives the configuration that reaches its database `smartscale`."""
    where = programs()
    assert where is not None, MISSING
    folder = Path(tempfile.mkdtemp(prefix="smartscale-pg-"))
    su: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        su = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]
    data, log = folder / "data", folder / "log"
    options = f"-k {folder} -c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    try:
        run = [*su, str(where / "initdb"), "-D", str(data), "-A", "trust", "-U", "smartscale", "--no-sync"]
        subprocess.run(run, check=True, capture_output=True, cwd=folder)
        with log.open("wb") as output:
            server = subprocess.Popen(
                [*su, str(where / "postgres"), "-D", str(data), *options.split()],
                stdout=output,
                stderr=output,
                cwd=folder,
            )
        try:
            _create(where, folder, server)
            yield DatabaseConfig(
                type="postgres", postgres=PostgresConfig(host=str(folder), name="smartscale", user="smartscale")
            )
        finally:
            server.terminate()
            server.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _create(where: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    command = [str(where / "createdb"), "-h", str(folder), "-U", "smartscale", "smartscale"]
    deadline = time.monotonic() + 20
    while True:
        done = subprocess.run(command, capture_output=True, cwd=folder)
        if done.returncode == 0:
            return
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"postgres did not start: {done.stderr.decode(errors='replace')}")
        time.sleep(0.05)
