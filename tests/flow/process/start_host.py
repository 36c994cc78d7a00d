"""Starts servers in forked children, so that a start that fails costs no import: one job a line, one answer a line.

A job has `words` of the command line, and may have `env`, `uid`, `folder` (the working directory), `tiny` (a folder
that becomes a small file system of the child's own, a full one with `full`, or a read-only one with `read_only`), and
`patience`, seconds to wait for a database. An answer has `status` and `output`, which is what the child wrote.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import json
import os
import signal
import sys
import tempfile
import traceback
from importlib import import_module
from typing import Any

import cli.__main__
import services.auth.idp.discovery_loop
import services.shared.db.database

for part in (
    "gateway.wiring", "services.auth.wiring", "services.derp.wiring", "services.map_streamer.wiring",
    "services.policy.wiring", "services.registry.wiring", "services.shared.preflight.database", "difflib",
):  # fmt: skip
    import_module(part)  # for the children, which as another user may not read this interpreter's modules

LIMIT = 30
"""Seconds after which a start that does not fail is ended."""
_NEW_NAMESPACE, _PRIVATE, _READ_ONLY, _REMOUNT, _BIND = 0x20000, 0x44000, 1, 32, 4096


for encoding in ("ascii", "idna", "latin-1", "utf-16"):
    codecs.lookup(encoding)


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if not child:
                _run(json.loads(line), output.fileno())
            _, status = os.waitpid(child, 0)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        sys.stdout.write(json.dumps({"status": os.waitstatus_to_exitcode(status), "output": text}) + "\n")
        sys.stdout.flush()


def _run(job: dict[str, Any], output: int) -> None:
    for number in (1, 2):
        os.dup2(output, number)
    signal.alarm(LIMIT)
    if job.get("tiny"):
        _mount(job["tiny"].encode(), read_only=bool(job.get("read_only")))
    if job.get("full"):
        with contextlib.suppress(OSError), open(f"{job['tiny']}/filler", "wb", buffering=0) as filler:  # noqa: PTH123
            while filler.write(bytes(512)):
                pass
    if job.get("uid"):
        os.setgroups([])
        os.setgid(job["uid"])
        os.setuid(job["uid"])
    os.chdir(job.get("folder") or "/")
    os.environ.clear()
    os.environ.update(job.get("env", {}))
    if "patience" in job:
        services.shared.db.database.START_TIMEOUT = job["patience"]
        services.auth.idp.discovery_loop.FIRST_PAUSE = job["patience"]
    sys.argv = ["headscale", *job["words"]]
    status: object = 70
    try:
        status = cli.__main__.run(job["words"])
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)


def _mount(folder: bytes, *, read_only: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.unshare(_NEW_NAMESPACE) or libc.mount(b"none", b"/", None, _PRIVATE, None)
    if read_only:
        done = done or libc.mount(folder, folder, None, _BIND, None)
        done = done or libc.mount(folder, folder, None, _BIND | _REMOUNT | _READ_ONLY, None)
    else:
        done = done or libc.mount(b"tmpfs", folder, b"tmpfs", 0, b"size=64k,mode=0755")
    if done:
        raise OSError(ctypes.get_errno(), "no file system for the child")


if __name__ == "__main__":
    main()
