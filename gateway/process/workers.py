"""Several gateway processes on the same ports: derives the settings of each, and runs all of them.

Clients, administrators over TCP and health checks reach any of them: the kernel spreads connections over the listeners
of one port. Each is a gateway of its own to the other processes, as if it ran on another host.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.process.supervisor import Supervisor
from services.shared.config import Config, ConfigError, load
from services.shared.config.stack import check_stack
from services.shared.preflight import inspect
from services.shared.runtime.command_line import command_line
from services.shared.runtime.process import log_problems
from services.shared.telemetry.logs import configure_logging, get_logger

if TYPE_CHECKING:
    from services.shared.runtime.process import Build

log = get_logger(__name__)

_SLACK = 15.0
"""Seconds beyond `gateway.drain_timeout` that a worker may take to end, before it is killed."""


def as_worker(config: Config, number: int) -> Config:
    """Return the configuration of one worker: it shares the TCP ports of the gateway, and nothing else.

    The first one has the unix socket and the metrics listener as configured. The others have a socket with their number
    behind its name, and the ports that follow.
    """
    rpc = config.services.gateway.listen_addr
    if rpc.startswith("unix:") and number > 1:
        rpc = f"{rpc}.{number}"
    services = replace(config.services, gateway=replace(config.services.gateway, listen_addr=rpc))
    return replace(
        config,
        unix_socket=_socket(config.unix_socket, number),
        metrics_listen_addr=_metrics_address(config.metrics_listen_addr, number),
        services=services,
        gateway=replace(config.gateway, worker=number),
    )


def sockets_beside(config: Config) -> tuple[Path, ...]:
    """Return the unix sockets of the other workers, given the configuration of one; none with a single worker."""
    own, path = config.gateway.worker, config.unix_socket
    if own == 0:
        return ()
    first = path if own == 1 else path.with_name(path.name.removesuffix(f".{own}"))
    return tuple(_socket(first, number) for number in range(1, config.gateway.workers + 1) if number != own)


def run_worker(config: Config, number: int, build: Build) -> int:
    """Run worker `number` until SIGTERM or until its supervisor ends. Returns the exit status."""
    from services.shared.runtime.lifeline import Lifeline
    from services.shared.runtime.process import run

    try:
        lifeline = Lifeline.at_standard_input()
    except OSError:
        sys.stderr.write("smartscale serve gateway: a worker is started by its supervisor: leave --worker out\n")
        return 1
    return run(
        as_worker(config, number),
        {"gateway": build},
        together=False,
        read=lambda: as_worker(load(config.source, os.environ), number),
        lifeline=lifeline,
    )


def run_workers(config: Config) -> int:
    """Be the supervisor of all of them until SIGTERM; the exit status."""
    configure_logging(config.log.level, config.log.format)
    try:
        check_stack(config)
        # The workers share their ports, so none of them would notice a foreign process that shares them too.
        if problems := inspect(config, {"gateway"}, together=False).problems:
            raise ConfigError(problems)
    except ConfigError as error:
        log_problems(error, command_line(config.source))
        return 1
    return asyncio.run(_supervise(config))


async def _supervise(config: Config) -> int:
    patience = config.gateway.drain_timeout.total_seconds() + _SLACK
    return await Supervisor(lambda number: _command(config.source, number), config.gateway.workers, patience).run()


def _command(source: Path | None, number: int) -> Sequence[str]:
    # -P: modules in the working folder must not shadow those of the program.
    given = () if source is None else ("-c", str(source))
    return (sys.executable, "-P", "-m", "gateway", *given, "--worker", str(number))


def _socket(first: Path, number: int) -> Path:
    return first if number == 1 else first.with_name(f"{first.name}.{number}")


def _metrics_address(first: str, number: int) -> str:
    host, _, port = first.rpartition(":")
    return first if not first or int(port) == 0 else f"{host}:{int(port) + number - 1}"
