"""Runs services in this process: all of them, or the named ones. The only module that imports every `wiring`."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from cli.frame.errors import CommandError

if TYPE_CHECKING:
    from services.shared.config import Config
    from services.shared.runtime.process import Build

# In the order of their start: each serves the ones after it.
_WIRING: Mapping[str, str] = {
    "policy": "services.policy.wiring",
    "registry": "services.registry.wiring",
    "auth": "services.auth.wiring",
    "map_streamer": "services.map_streamer.wiring",
    "derp": "services.derp.wiring",
    "gateway": "gateway.wiring",
}


def run_processes(config: Config, names: tuple[str, ...]) -> None:
    """Run until SIGTERM or Ctrl-C.

    Raises:
        CommandError: it could not start; the log has the reason.
    """
    # A short command ends at a closed pipe. A server must survive clients that close theirs.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # Each client is an open file. systemd and shells allow 1,024 at first, and more on request.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS reports "no limit" as the maximum, and refuses it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wanted = [name for name in _WIRING if name in {given.replace("-", "_") for given in names}]
    together = not wanted
    if together:
        wanted = [name for name in _WIRING if name != "derp" or config.derp.server.enabled]
    if _serve(config, wanted, together):
        raise CommandError("the server stopped with an error", "the log above says why")


def _serve(config: Config, wanted: list[str], together: bool) -> int:
    workers = config.gateway.workers
    if workers > 1 and wanted == ["gateway"]:
        from gateway.process.workers import run_workers

        return run_workers(config)
    if workers > 1 and "gateway" in wanted:
        raise CommandError(
            f"gateway.workers is {workers}, but this one process would run {', '.join(wanted)}",
            "run each service as a process of its own (headscale serve gateway, headscale serve registry, ...), "
            "or set gateway.workers: 1",
        )
    from services.shared.runtime.gc_tuning import postpone

    postpone()
    from services.shared.runtime.process import run

    builds: dict[str, Build] = {name: _build_of(_WIRING[name]) for name in wanted}
    return run(config, builds, together=together)


def _build_of(module: str) -> Build:
    # Imported by name, when it is needed: a single service does not load the others.
    build: Callable[..., object] = import_module(module).build
    return build  # type: ignore[return-value]
