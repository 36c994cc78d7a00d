"""Applies a changed configuration without a restart: all parts of a process apply it, or none does.

What may change while we run is `oidc` and `log`. Other keys that changed are named, and hold after a restart. SIGHUP
reloads the process that gets it; `reload(tell_others=True)` all processes, over the bus.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol

from services.shared.background import Background
from services.shared.bus import Bus
from services.shared.bus.port import Reconnected
from services.shared.config import Config, ConfigError
from services.shared.ids import DEFAULT_TAILNET
from services.shared.telemetry import get_logger
from services.shared.telemetry.logs import configure_logging
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

TOPIC = f"smartscale.{DEFAULT_TAILNET}.reload"
LIVE = ("oidc.", "log.")
"""Keys that hold at once."""

Commit = Callable[[], None]


class ReloadablePart(Protocol):
    """A part of a process that can apply a new configuration while it runs."""

    async def prepare(self, config: Config) -> Commit:
        """Make ready for a configuration; what is returned takes it into use and cannot fail.

        Raises:
            ConfigError: it cannot be used.
        """
        ...


class Logs:
    """The process's own logs, as a part."""

    async def prepare(self, config: Config) -> Commit:
        """Make ready to log as a configuration says."""
        return lambda: configure_logging(config.log.level, config.log.format)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The result of a reload."""

    problems: tuple[str, ...] = ()
    """Why the old configuration stays; empty: the new one holds."""
    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Reloader:
    """The configuration in use, and the parts that follow it."""

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config] | None = None,
        bus: Bus | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._config = config
        self._read = read
        self._bus = bus
        self._parts: list[ReloadablePart] = []
        self._lock = asyncio.Lock()
        self._name = secrets.token_hex(8).encode()
        self._background = Background(telemetry or Telemetry())

    def add(self, part: ReloadablePart) -> None:
        """Let a part follow."""
        self._parts.append(part)

    def hang_up(self) -> None:
        """Reload soon, as SIGHUP asks."""
        self._background.run(self._reload_once(), "reload")

    async def reload(self, *, tell_others: bool = False) -> Reloaded:
        """Read the configuration again and take it into use, unless it cannot be used."""
        async with self._lock:
            done = await self._reload()
        if tell_others and not done.problems and self._bus is not None:
            await self._bus.publish(TOPIC, self._name)
        return done

    def follow(self) -> None:
        """From now on reload whenever another process requests it."""
        if self._bus is not None:
            bus = self._bus
            self._background.keep(lambda: self._follow(bus), "reload news")

    async def stop(self) -> None:
        """End what runs."""
        await self._background.stop()

    async def _reload_once(self) -> None:
        await self.reload()

    async def _follow(self, bus: Bus) -> None:
        async with bus.subscribe(TOPIC) as messages:
            # Messages from before the subscription, or from a gap in it, are lost.
            await self._catch_up()
            async for message in messages:
                if isinstance(message, Reconnected):
                    await self._catch_up()
                elif message.payload != self._name:
                    await self.reload()

    async def _catch_up(self) -> None:
        """Reload if the configuration changed, because its announcement may have been lost."""
        if self._read is not None:
            async with self._lock:
                await self._reload(only_changed=True)

    async def _reload(self, *, only_changed: bool = False) -> Reloaded:
        if self._read is None:
            return Reloaded(problems=("this process was given its configuration and cannot read it again",))
        try:
            new = await asyncio.to_thread(self._read)
            keys = tuple(changed_keys(self._config, new))
            live = tuple(key for key in keys if key.startswith(LIVE))
            if only_changed and not live:
                return Reloaded()
            wanted = replace(self._config, oidc=new.oidc, log=new.log)
            commits = [await part.prepare(wanted) for part in self._parts]
        except ConfigError as error:
            problems = tuple(str(problem) for problem in error.problems)
            log.error("configuration not reloaded, the old one stays", reason="; ".join(problems))
            return Reloaded(problems=problems)
        except Exception:
            log.exception("configuration not reloaded, the old one stays")
            return Reloaded(problems=("the server could not take it; its log says more",))
        for commit in commits:
            commit()
        later = tuple(key for key in keys if not key.startswith(LIVE))
        self._config = wanted
        log.info("configuration reloaded", changed=",".join(live) or "nothing")
        if later:
            log.warning("configuration changed in keys that need a restart", keys=",".join(later))
        return Reloaded((), live, later, new.warnings)


def changed_keys(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """The keys that differ. Names only: the values may be secrets."""
    for item in fields(old):
        if item.metadata.get("internal"):
            continue
        key = f"{path}.{item.metadata.get('key', item.name)}".removeprefix(".")
        before, after = getattr(old, item.name), getattr(new, item.name)
        if is_dataclass(before) and type(before) is type(after):
            yield from changed_keys(before, after, key)
        elif before != after:
            yield key
