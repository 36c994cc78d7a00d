"""The supervisor of workers, with small programs for workers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.process import supervisor
from gateway.process.supervisor import FIRST_PAUSE, LONG_LIFE, LONGEST_PAUSE, Pauses, Supervisor
from gateway.process.workers import as_worker, sockets_beside
from services.shared.config.model import Config, GatewayConfig, ServiceConfig, ServicesConfig
from tests.fakes import edge

# Says that it is ready, notes each SIGHUP, and ends as its argument says when it is asked to, or its line ends.
_OBEDIENT = """
import os, signal, socket, sys
line = socket.socket(fileno=os.dup(0))
def hung_up(*_): open(sys.argv[1], "a").write("hup\\n")
def asked(*_): os._exit(int(sys.argv[2]))
signal.signal(signal.SIGHUP, hung_up)
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "never" else asked)
try:
    line.send(b"r")
    while line.recv(1): pass
except OSError: pass
open(sys.argv[1], "a").write("alone\\n")
"""


def obedient(folder: Path, ends: str = "0") -> Callable[[int], list[str]]:
    return lambda number: [sys.executable, "-S", "-E", "-c", _OBEDIENT, str(folder / str(number)), ends]


async def until(condition: Callable[[], object]) -> None:
    await edge.until(condition, 30)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def all_ready(running: Supervisor, count: int) -> bool:
    return len(running._workers) == count and all(worker.ready for worker in running._workers.values())


def test_a_worker_that_keeps_dying_is_started_ever_more_rarely_until_one_has_lived() -> None:
    pauses = Pauses()
    found = [pauses.after(0.1) for _ in range(10)]
    assert found[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert found[-1] == LONGEST_PAUSE == max(found)
    assert pauses.after(LONG_LIFE) == FIRST_PAUSE


@pytest.mark.parametrize(("ends", "status"), [("0", 0), ("3", 1)])
async def test_all_end_when_it_is_asked_to_and_the_status_tells_how(tmp_path: Path, ends: str, status: int) -> None:
    running = Supervisor(obedient(tmp_path, ends), 2, 60)
    life = asyncio.create_task(running.run())
    await until(lambda: all_ready(running, 2))
    pids = list(running.pids.values())
    os.kill(os.getpid(), signal.SIGTERM)
    assert await life == status
    assert not any(is_there(pid) for pid in pids)


async def test_a_worker_that_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    running = Supervisor(obedient(tmp_path, "never"), 1, 0.1)
    life = asyncio.create_task(running.run())
    await until(lambda: all_ready(running, 1))
    running.stop()
    assert await life == 1


async def test_one_that_dies_is_started_again_and_the_other_lives_on(tmp_path: Path) -> None:
    running = Supervisor(obedient(tmp_path), 2, 60)
    life = asyncio.create_task(running.run())
    await until(lambda: all_ready(running, 2))
    before = running.pids
    os.kill(before[1], signal.SIGKILL)
    await until(lambda: all_ready(running, 2) and running.pids[1] != before[1])
    assert running.pids[2] == before[2]
    running.stop()
    assert await life == 0


async def test_one_that_cannot_start_ends_all_with_an_error(tmp_path: Path) -> None:
    well = obedient(tmp_path)

    def command(number: int) -> list[str]:
        return well(number) if number == 1 else [sys.executable, "-S", "-E", "-c", "raise SystemExit(1)"]

    running = Supervisor(command, 2, 60)
    assert await running.run() == 1
    assert not running.pids


async def test_one_that_could_start_before_is_tried_again_when_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.01)
    well, started = obedient(tmp_path), 0

    def command(number: int) -> list[str]:
        nonlocal started
        started += 1
        return [sys.executable, "-S", "-E", "-c", "raise SystemExit(1)"] if started in (2, 3) else well(number)

    running = Supervisor(command, 1, 60)
    life = asyncio.create_task(running.run())
    await until(lambda: all_ready(running, 1))
    os.kill(running.pids[1], signal.SIGKILL)
    await until(lambda: started == 4 and all_ready(running, 1))
    running.stop()
    assert await life == 0


async def test_a_reload_reaches_all_and_waits_for_one_that_is_not_ready(tmp_path: Path) -> None:
    running = Supervisor(obedient(tmp_path), 2, 60)
    life = asyncio.create_task(running.run())
    await until(lambda: len(running.pids) == 2)
    running.reload()
    await until(lambda: all((tmp_path / name).exists() for name in "12"))
    running.stop()
    assert await life == 0


async def test_workers_notice_that_their_supervisor_was_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, json, sys; from gateway.process.supervisor import Supervisor\n"
        "workers = json.loads(sys.argv[1])\n"
        "asyncio.run(Supervisor(lambda number: workers[number - 1], 2, 60).run())"
    )
    root, worker = Path(__file__).parents[3], obedient(tmp_path)
    workers = json.dumps([list(worker(1)), list(worker(2))])
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, workers, cwd=root)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    await until(lambda: len(children.read_text().split()) == 2)
    process.kill()
    await process.wait()
    said = [tmp_path / name for name in "12"]
    await until(lambda: all(one.exists() and one.read_text().endswith("\n") for one in said))
    assert {one.read_text() for one in said} == {"alone\n"}


def test_a_worker_shares_the_ports_and_has_the_rest_for_itself() -> None:
    services = ServicesConfig(gateway=ServiceConfig(listen_addr="unix:/run/rpc"))
    config = Config(
        unix_socket=Path("/run/hs.sock"),
        metrics_listen_addr=":9090",
        services=services,
        gateway=GatewayConfig(workers=3),
    )
    first, third = as_worker(config, 1), as_worker(config, 3)
    assert (first.unix_socket, first.metrics_listen_addr) == (config.unix_socket, ":9090")
    assert (third.unix_socket, third.metrics_listen_addr) == (Path("/run/hs.sock.3"), ":9092")
    assert first.services == services and third.services.gateway.listen_addr == "unix:/run/rpc.3"
    assert third.listen_addr == first.listen_addr and third.grpc_listen_addr == first.grpc_listen_addr
    assert sockets_beside(first) == (Path("/run/hs.sock.2"), Path("/run/hs.sock.3"))
    assert sockets_beside(third) == (Path("/run/hs.sock"), Path("/run/hs.sock.2"))
    assert sockets_beside(config) == ()
    assert as_worker(Config(metrics_listen_addr=""), 2).metrics_listen_addr == ""
    assert as_worker(Config(metrics_listen_addr="[::1]:0"), 2).metrics_listen_addr == "[::1]:0"
