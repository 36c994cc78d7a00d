"""`headscale serve`: every process in one, or the named ones alone. The only module that imports every `wiring`."""

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

# In the order of their start: each is asked by those after it.
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
        CommandError: it could not start; the log says why.
    """
    # A server outlives the peers that hang up on it: the command line's own way with closed pipes would end it.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    # Each client is a file. systemd and shells start programs with 1,024 and let them have more if they ask.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS says "without limit" and does not take it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wanted = [name for name in _WIRING if name in {given.replace("-", "_") for given in names}]
    together = not wanted
    if together:
        wanted = [name for name in _WIRING if name != "derp" or config.derp.server.enabled]
    if _serve(config, wanted, together):
        raise CommandError("the server ended with an error", "the log above says which")


def _serve(config: Config, wanted: list[str], together: bool) -> int:
    workers = config.gateway.workers
    if workers > 1 and wanted == ["gateway"]:
        from gateway.process.workers import run_workers

        return run_workers(config)
    if workers > 1 and "gateway" in wanted:
        raise CommandError(
            f"gateway.workers is {workers}, but this one process would hold {', '.join(wanted)}",
            "run each service as a process of its own (headscale serve gateway, headscale serve registry, ...), "
            "or set gateway.workers: 1",
        )
    from services.shared.runtime.process import run

    builds: dict[str, Build] = {name: _build_of(_WIRING[name]) for name in wanted}
    return run(config, builds, together=together)


def _build_of(module: str) -> Build:
    # Imported by name and late: a process alone does not pay for the others.
    build: Callable[..., object] = import_module(module).build
    return build  # type: ignore[return-value]
