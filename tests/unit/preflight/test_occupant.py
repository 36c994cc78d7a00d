"""Who listens on a port, as a start that fails tells it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.shared.preflight import occupant as module
from services.shared.preflight.occupant import Occupant, occupant
from services.shared.preflight.ports import unbindable

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
LISTENER = """
import socket, sys
one = socket.socket(getattr(socket, sys.argv[1]), socket.SocketKind(int(sys.argv[2])))
one.bind((sys.argv[3], 0))
if int(sys.argv[2]) == 1:
    one.listen()
print(one.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", [TCP, UDP])
@pytest.mark.parametrize(("family", "host"), [("AF_INET", "127.0.0.1"), ("AF_INET", "0.0.0.0"), ("AF_INET6", "::")])
def test_the_process_is_found(family: str, host: str, kind: socket.SocketKind) -> None:
    command = [sys.executable, "-c", LISTENER, family, str(int(kind)), host]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())
        name = Path(f"/proc/{other.pid}/comm").read_text().strip()
        assert occupant(port, kind) == Occupant(name, other.pid)
        trouble = unbindable(f"127.0.0.1:{port}", kind)
        other.communicate("")
    assert trouble == (
        f"127.0.0.1:{port} is in use by {name} (process {other.pid})",
        f"end it (kill {other.pid}), or choose another port",
    )
    assert occupant(port, kind) is None
    assert unbindable(f"127.0.0.1:{port}", kind) is None


def test_a_connection_is_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert occupant(client.getsockname()[1], TCP) is None


@pytest.mark.parametrize("lacking", ["fd", "net", "comm"])
def test_what_cannot_be_seen_is_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        inode = os.fstat(server.fileno()).st_ino
        own = tmp_path / "4711"
        (own / "fd").mkdir(parents=True)
        (own / "fd/3").symlink_to(f"socket:[{inode}]")
        (own / "comm").write_text("other\x1b\n")
        (tmp_path / "net").mkdir()
        row = f"0: 0100007F:{port:04X} 00000000:0000 0A 0:0 00:0 0 0 0 {inode} 1\n"
        (tmp_path / "net/tcp").write_text("heads\n" + row)
        monkeypatch.setattr(module, "_PROC", tmp_path)
        assert occupant(port, TCP) == Occupant("other", 4711)
        target = tmp_path / "net/tcp" if lacking == "net" else own / "fd/3" if lacking == "fd" else own / "comm"
        target.unlink()
        assert occupant(port, TCP) is None
        what, remedy = unbindable(f"127.0.0.1:{port}") or ("", "")
    assert what == f"127.0.0.1:{port} is in use by another program"
    assert remedy == f"end that program (as root, `ss -lntp 'sport = :{port}'` shows it), or choose another port"
