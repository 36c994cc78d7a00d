"""The life of one process: its dependencies, its start, alone or together with other services, and its end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import grpc.aio

from services.shared.build_info import built
from services.shared.bus import Bus, MemoryBus, connect_bus
from services.shared.config import Config, ConfigError, ConfigProblem, load
from services.shared.config.stack import check_stack
from services.shared.db.file import DatabaseInUseError, hold
from services.shared.db.place import RefusedDatabaseError, key_of, place_of
from services.shared.db.unavailable import DatabaseUnavailableError
from services.shared.net.handover import Handovers
from services.shared.rpc.client import OutgoingChannel, dial
from services.shared.rpc.interceptors import ObserveInterceptor
from services.shared.rpc.local import LocalChannel, LocalServer
from services.shared.rpc.server import RpcServer
from services.shared.runtime.clock import Clock, SystemClock
from services.shared.runtime.command_line import command_line, respelled
from services.shared.runtime.gc_tuning import settle
from services.shared.runtime.lifeline import Lifeline
from services.shared.runtime.reload import Logs, Reloader
from services.shared.runtime.sighup import listen
from services.shared.telemetry import Telemetry, get_logger, runtime, start_telemetry

log = get_logger(__name__)

CALLED = ("registry", "policy", "auth", "map_streamer")
"""Services that others call."""

_KEEPERS = frozenset(("registry", "policy", "auth"))
"""Services that have tables."""
_GRACE = 3.0


@dataclass(frozen=True, slots=True)
class Deps:
    """The dependencies passed to every service at its start."""

    clock: Clock
    bus: Bus
    channels: Mapping[str, grpc.aio.Channel]
    """By service name: "registry", "policy", "auth", "map_streamer"."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    handovers: Handovers = field(default_factory=Handovers)
    """Connections that one service of the process accepts for another."""
    reloader: Reloader | None = None
    """Reloads the configuration; None if the process cannot reload it."""


class RunnableService(Protocol):
    """One of our services, the same object embedded and alone."""

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register its servicers."""
        ...

    async def start(self) -> None:
        """Begin its background work; returns when ready to answer."""
        ...

    async def stop(self) -> None:
        """End its work and give back what it holds."""
        ...


Build = Callable[[Config, Deps], Awaitable[RunnableService]]
"""Each service's `wiring.build`."""

Read = Callable[[], Config]
"""Reads the configuration again; raises `ConfigError`."""


def run_alone(build: Build, name: str, argv: Sequence[str] | None = None) -> None:
    """The body of a service's `__main__`: read the configuration, serve until SIGTERM, exit with the truth."""
    parser = argparse.ArgumentParser(prog=f"smartscale serve {name}")
    parser.add_argument("-c", "--config", type=Path, default=None, metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        config = load(arguments.config, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    raise SystemExit(run(config, {name: build}, together=False))


def run(
    config: Config,
    builds: Mapping[str, Build],
    *,
    together: bool,
    read: Read | None = None,
    lifeline: Lifeline | None = None,
) -> int:
    """Run services in this process until SIGTERM: together means embedded, all over one in-process channel.

    With a lifeline also no longer than whoever holds its other end. Returns the exit status.
    """
    name = "embedded" if together else "-".join(builds)
    telemetry = start_telemetry(config, name, version=built().version)
    command = command_line(config.source)
    for line in config.warnings:
        warning, _, remedy = respelled(line, command).partition(" — ")
        log.warning("configuration", warning=warning, remedy=remedy)
    try:
        _inspect(config, builds, together)
        serve = embedded if together else alone
        again = read or (lambda: load(config.source, os.environ))
        _run_in_loop(_live(serve(config, builds, telemetry, None, again), ",".join(builds), lifeline))
    except ConfigError as error:
        log_problems(error, command)
    except (RefusedDatabaseError, DatabaseInUseError) as error:
        log_problems(ConfigError([_problem(config, key_of(config.database), error.what, error.remedy)]), command)
    except DatabaseUnavailableError as error:
        log_problems(ConfigError([_problem(config, *_unusable_database(config, error))]), command)
    except OSError as error:
        from services.shared.preflight.room import full_disk  # late: it explains, and few starts need that

        if (full := full_disk(config, error)) is None:
            log.error("cannot start", reason=_error_text(error))
        else:
            log_problems(ConfigError([_problem(config, *full)]), command)
    except Exception as error:
        if (fault := _database_fault(config, error)) is None:
            log.exception("cannot start")
        else:
            log_problems(ConfigError([_problem(config, *fault)]), command)
    else:
        return 0
    return 1


def _problem(config: Config, key: str, what: str, remedy: str) -> ConfigProblem:
    return ConfigProblem(config.places.get(key) or str(config.source or "configuration"), key, what, remedy)


def _unusable_database(config: Config, error: DatabaseUnavailableError) -> tuple[str, str, str]:
    """Return key, reason and remedy for a database that failed during the start."""
    if config.database.type == "postgres" and error.__cause__ is not None:
        return _refusal(config, error.__cause__)
    what, _, remedy = str(error).rpartition(": ")
    return key_of(config.database), what or remedy, remedy if what else "headscale db check examines it"


def _database_fault(config: Config, error: BaseException | None) -> tuple[str, str, str] | None:
    """Return key, reason and remedy where the database caused an error; its first line has no values of rows."""
    while error is not None:
        answer = getattr(error, "orig", None)  # of SQLAlchemy's DBAPIError
        if isinstance(answer, Exception):
            if config.database.type == "postgres":
                return _refusal(config, error)
            reason = f"the database failed: {str(answer).splitlines()[0]}"
            return key_of(config.database), reason, "headscale db check examines it"
        error = error.__cause__
    return None


def _refusal(config: Config, error: BaseException) -> tuple[str, str, str]:
    """Return key, reason and remedy for an error of PostgreSQL."""
    from services.shared.preflight.database import refusal_of  # late: it explains, and few starts need that

    return refusal_of(config.database.postgres, error)


def _inspect(config: Config, names: Iterable[str], together: bool) -> None:
    """Open what the configuration names, so that nothing is found out half-way.

    Raises:
        ConfigError: something cannot be used.
    """
    from services.shared.preflight import inspect  # late: it reads certificates, which few processes do

    # The ports of a worker are shared with its siblings, so its supervisor has tried them.
    report = inspect(config, set(names), together=together, ports=config.gateway.worker == 0)
    wrong = {one.key for one in report.problems}
    if config.database.type == "sqlite" and _KEEPERS & set(names) and key_of(config.database) not in wrong:
        asyncio.run(place_of(config))  # whose database it is explains all other trouble
    for one in report.warnings:
        log.warning("configuration", where=one.where, key=one.key, warning=one.what, remedy=one.remedy)
    if report.problems:
        raise ConfigError(report.problems)


def log_problems(error: ConfigError, command: str) -> None:
    """Log why a process does not start, a line for each reason; the commands in remedies begin with `command`."""
    for one in error.problems:
        remedy = respelled(one.remedy, command)
        key = {"key": one.key} if one.key else {}
        log.error("cannot start", where=one.where, **key, reason=one.what, remedy=remedy)


def _error_text(error: OSError) -> str:
    """Return the error in words: its number means nothing to a person."""
    named = f"{error.filename}: " if error.filename else ""
    return f"{named}{error.strerror.lower()}" if error.strerror else str(error)


def _run_in_loop(work: Any) -> None:
    try:
        import uvloop
    except ImportError:  # uvloop has no build for every platform
        asyncio.run(work)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)


async def _live(serving: AbstractAsyncContextManager[object], names: str, lifeline: Lifeline | None) -> None:
    stopping = asyncio.Event()
    on_its_way_up = asyncio.current_task()

    def stop() -> None:
        stopping.set()
        if on_its_way_up is not None:
            on_its_way_up.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    # Without a handler the signal would end a process that is still on its way up.
    listen(lambda: log.info("reload requested"))
    if lifeline is not None:
        lifeline.hold(stop)
    try:
        async with serving:
            on_its_way_up = None
            settle()
            log.info("ready", processes=names)
            if lifeline is not None:
                lifeline.ready()
            await stopping.wait()
            log.info("stopping")
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
        log.info("stopped before ready")


@asynccontextmanager
async def embedded(
    config: Config,
    builds: Mapping[str, Build],
    telemetry: Telemetry,
    clock: Clock | None = None,
    read: Read | None = None,
) -> AsyncIterator[Mapping[str, RunnableService]]:
    """Run services together: one in-process gRPC server, the bus in memory. Gives the services, all started.

    They start in the order of `builds` and stop in the reverse order.
    """
    ready = False
    async with AsyncExitStack() as stack:
        stack.push_async_callback(telemetry.stop)
        place = await _place(config, builds, stack)
        bus = await connect_bus(config.bus.url, telemetry, config.services.token) if config.bus.url else MemoryBus()
        stack.push_async_callback(bus.close)
        server = LocalServer([ObserveInterceptor(telemetry)])
        stack.push_async_callback(server.stop, 0)
        channel = OutgoingChannel([LocalChannel(server)])
        stack.push_async_callback(channel.close)
        reloader = Reloader(config, read, bus, telemetry)
        channels = dict.fromkeys(CALLED, channel)
        deps = Deps(clock or SystemClock(), bus, channels, telemetry, Handovers(together=True), reloader)
        await _expose_metrics(config, telemetry, stack, lambda: ready, ", ".join(builds))
        services: dict[str, RunnableService] = {}
        for name, build in builds.items():
            services[name] = service = await build(place, deps)
            stack.push_async_callback(_stop, name, service)
            service.add_to(server)
        for service in services.values():
            await service.start()
        _follow(reloader, stack)
        ready = True
        yield services
        ready = False


@asynccontextmanager
async def alone(
    config: Config,
    builds: Mapping[str, Build],
    telemetry: Telemetry,
    clock: Clock | None = None,
    read: Read | None = None,
) -> AsyncIterator[Mapping[str, int]]:
    """Run services as processes of a stack: gRPC on sockets, the bus on Redis. Gives the port of each.

    Raises:
        ConfigError: the stack would have no bus, or be open to strangers.
    """
    check_stack(config)
    ready = False
    async with AsyncExitStack() as stack:
        stack.push_async_callback(telemetry.stop)
        place = await _place(config, builds, stack)
        bus = await connect_bus(config.bus.url, telemetry, config.services.token)
        stack.push_async_callback(bus.close)
        channels: dict[str, grpc.aio.Channel] = {}
        for name in CALLED:
            channels[name] = dial(getattr(config.services, name).addresses, config.services)
            stack.push_async_callback(channels[name].close)
        reloader = Reloader(config, read, bus, telemetry)
        deps = Deps(clock or SystemClock(), bus, channels, telemetry, reloader=reloader)
        await _expose_metrics(config, telemetry, stack, lambda: ready, ", ".join(builds))
        servers: list[RpcServer] = []
        ports: dict[str, int] = {}
        for name, build in builds.items():
            service = await build(place, deps)
            stack.push_async_callback(_stop, name, service)
            server = RpcServer(config.services, telemetry, shared=config.gateway.worker > 0)
            server.add(service)
            ports[name] = await server.start(getattr(config.services, name).listen_addr)
            stack.push_async_callback(server.stop, _GRACE)
            await service.start()
            servers.append(server)
        _follow(reloader, stack)
        for server in servers:
            await server.set_ready(True)
        ready = True
        yield ports
        ready = False


async def _place(config: Config, builds: Mapping[str, Build], stack: AsyncExitStack) -> Config:
    """Return the configuration with the database in use, known to be ours or empty, and used by no other server.

    Raises:
        DatabaseInUseError: another server uses it.
        RefusedDatabaseError: it is something else.
        ConfigError: it cannot be reached, or does not let us in.
    """
    if not _KEEPERS & builds.keys():
        return config
    from services.shared.db.database import create_engine, wait_until_reachable

    if config.database.type == "postgres":
        engine = create_engine(config.database)
        try:
            await wait_until_reachable(engine)
        except DatabaseUnavailableError as error:
            raise ConfigError([_problem(config, *_unusable_database(config, error))]) from None
        finally:
            await engine.dispose()
    placed = await place_of(config)
    if placed.database != config.database:
        log.info("imported database", path=str(placed.database.sqlite.path), left=str(config.database.sqlite.path))
    if placed.database.type == "sqlite":
        stack.enter_context(hold(placed.database.sqlite.path, _KEEPERS & builds.keys()))
    return placed


def _follow(reloader: Reloader, stack: AsyncExitStack) -> None:
    """Reload at SIGHUP, also after one during the start, and when another process requests it."""
    reloader.add(Logs())
    stack.push_async_callback(reloader.stop)
    stack.callback(listen(reloader.hang_up, include_missed=True))
    reloader.follow()


async def _expose_metrics(
    config: Config, telemetry: Telemetry, stack: AsyncExitStack, ready: Callable[[], bool], processes: str
) -> None:
    if config.metrics_listen_addr:
        from services.shared.telemetry.exposition import Exposition  # loads uvicorn, which most processes need for this
        from services.shared.telemetry.metrics_listener import MetricsListener

        runtime.add_pages(telemetry.pages, config, processes)
        allowed = [ipaddress.ip_network(text, strict=False) for text in config.metrics_allowed_networks]
        named = [urlsplit(config.server_url).hostname or "", socket.gethostname(), *config.metrics_allowed_hosts]
        listener = MetricsListener(Exposition(telemetry.registry, ready, telemetry.pages, allowed, named))
        await listener.start(config.metrics_listen_addr)
        stack.push_async_callback(listener.stop)


async def _stop(name: str, service: RunnableService) -> None:
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await service.stop()
    except Exception:
        log.exception("service did not stop cleanly", service=name)
