"""The course of an import: read, plan, report, and write everything in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.frame.errors import CommandError
from cli.moving import keyfiles, places, policies
from cli.moving.creating import create_database
from cli.moving.progress import RowCounter
from cli.moving.report import ImportRefusal, ImportReport, PolicyReport
from services.auth import importing as auth
from services.moving.reading import read_installation
from services.policy import importing as policy
from services.registry import importing as registry
from services.registry.model.link import Link
from services.registry.model.state import State
from services.registry.wiring import settings_of
from services.shared.config.model import Config
from services.shared.db.database import create_engine, read, write
from services.shared.db.engine import AsyncConnection, AsyncEngine
from services.shared.db.place import named
from services.shared.db.untouched import open_untouched
from services.shared.ids import DEFAULT_TAILNET
from services.shared.imported import ImportedPolicy, Installation

GATEWAY_LAPSE = timedelta(seconds=45)
"""Time after the last beat of a gateway during which its server may still be running."""

Show = Callable[[ImportReport], None]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The options of the command line."""

    source: str = ""
    policy: str = ""
    noise_key: str = ""
    dry_run: bool = False
    merge: bool = False


@dataclass(frozen=True, slots=True)
class _TargetContent:
    """The content of the target before the import."""

    state: State
    links: tuple[Link, ...] = ()
    keys: auth.KnownKeys = field(default_factory=auth.KnownKeys)
    has_policy: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.state.users or self.state.nodes or self.keys.preauth or self.keys.api)


@dataclass(frozen=True, slots=True)
class _Plan:
    registry: registry.RegistryPlan
    policy: policy.PolicyPlan
    keys: auth.KeyPlan


async def run(config: Config, wishes: ImportOptions, show: Show) -> ImportReport:
    """Import, or say why not; `show` is given the report before anything is written.

    Raises:
        CommandError: source or target cannot be used, or a server runs.
        RefusedDatabaseError: the target is not ours.
        UntouchedError: the source cannot be read.
        DatabaseUnavailableError: the target cannot be written.
    """
    where = await places.find(config, wishes.source, preview=wishes.dry_run)
    counter = RowCounter()
    try:
        async with open_untouched(where.source) as source:
            found = await read_installation(source, lambda table, number: counter(f"reading {table}", number))
            if others := await source.connections():
                what = f"{others} other connections to it are open"
                found.problems.add("database", source.name, what, "read as it was; stop Headscale first if it runs")
    finally:
        counter.clear()
    chosen = policies.choose(where.target, wishes.policy, found)
    copies = keyfiles.plan(where.target, wishes.noise_key, found.problems)
    work = _Import(where, wishes, found, chosen, copies, counter)
    try:
        return await (work.preview(show) if wishes.dry_run else work.carry_out(show))
    finally:
        counter.clear()


class _Import:
    def __init__(
        self,
        where: places.Places,
        wishes: ImportOptions,
        found: Installation,
        chosen: ImportedPolicy | None,
        copies: list[keyfiles.KeyCopy],
        counter: RowCounter,
    ) -> None:
        self._where = where
        self._config = where.target
        self._wishes = wishes
        self._found = found
        self._chosen = chosen
        self._copies = copies
        self._counter = counter
        self._now = datetime.now(UTC)
        self._registry = registry.RegistryTarget(DEFAULT_TAILNET)
        self._policy = policy.PolicyTarget(DEFAULT_TAILNET)
        self._auth = auth.AuthTarget(DEFAULT_TAILNET)

    async def preview(self, show: Show) -> ImportReport:
        """Report what would happen, and write nothing.

        Raises:
            CommandError: the tailnet is not empty.
        """
        known = _TargetContent(State())
        if self._where.target_exists:
            engine = create_engine(self._config.database)
            try:
                async with read(engine) as connection:
                    known = await self._content_of_target(connection)
            finally:
                await engine.dispose()
        report, _ = self._plan(known)
        show(report)
        return report

    async def carry_out(self, show: Show) -> ImportReport:
        """Write everything in one transaction.

        Raises:
            CommandError: the tailnet is not empty, or a server runs on it.
        """
        made: list[Path] = []
        if self._where.neighbour is not None:
            await create_database(self._where.neighbour, self._config.database)
        with places.locked(self._config):
            return await self._write(show, made)

    async def _write(self, show: Show, made: list[Path]) -> ImportReport:
        engine = create_engine(self._config.database)
        try:
            await self._prepare(engine)
            async with write(engine) as connection:
                transaction = await self._registry.lock(connection)
                await self._refuse_running(connection)
                report, plan = self._plan(await self._content_of_target(connection))
                show(report)
                if plan is None or report.refusal is not None:
                    return report
                await self._registry.write(transaction, plan.registry, self._now, self._counter)
                await self._registry.remember_ids(connection, plan.registry)
                await self._auth.write(connection, plan.keys)
                await self._policy.write(connection, plan.policy)
                made.extend(keyfiles.write(self._copies))
                self._counter("committing", len(plan.registry.nodes))
        except BaseException:
            for path in made:
                path.unlink(missing_ok=True)
            raise
        finally:
            await engine.dispose()
        return report

    async def _prepare(self, engine: AsyncEngine) -> None:
        for target in (self._policy, self._registry, self._auth):
            await target.prepare(engine)

    async def _refuse_running(self, connection: AsyncConnection) -> None:
        """Refuse a PostgreSQL database on which a server runs; a SQLite file was asked for its locks before."""
        if connection.dialect.name == "sqlite":
            return
        heard = await self._registry.last_gateway(connection)
        if heard is not None and self._now - heard < GATEWAY_LAPSE:
            raise CommandError(
                f"a server runs on {named(self._config.database)}: a gateway reported {self._now - heard} ago",
                f"stop it; {GATEWAY_LAPSE.seconds} seconds after it was killed this is possible too",
            )

    async def _content_of_target(self, connection: AsyncConnection) -> _TargetContent:
        state, links = await self._registry.known(connection)
        has_policy = not await self._policy.is_empty(connection)
        return _TargetContent(state, tuple(links), await self._auth.known(connection), has_policy)

    def _plan(self, known: _TargetContent) -> tuple[ImportReport, _Plan | None]:
        found = self._found
        report = ImportReport(
            release=found.release,
            database=found.database,
            schema=found.schema,
            target=named(self._config.database),
            dry_run=self._wishes.dry_run,
            counts=found.counts,
            policy=PolicyReport(self._chosen is not None, self._chosen.origin if self._chosen else ""),
        )
        if not known.is_empty and not self._wishes.merge:
            raise _not_empty(known, report.target)
        names = [user.name for user in found.users]
        try:
            planned = policy.plan(self._chosen, self._config, names, self._now)
        except policy.RefusedPolicyError as error:
            report.refusal = ImportRefusal(
                "the policy cannot be used here:\n  " + "\n  ".join(error.lines),
                "correct a copy of it, and name that with --policy FILE (headscale policy check FILE --offline)",
            )
            planned = policy.PolicyPlan()
        self._note_policy(planned, known, report)
        registry_plan = registry.plan(
            found,
            planned.compiled,
            settings_of(self._config),
            self._now,
            state=known.state,
            links=known.links,
            issuers=_issuers(self._config),
        )
        keys = auth.plan(found, registry_plan.user_ids, known.keys, self._now)
        report.problems = found.problems.all()
        return report, _Plan(registry.with_keys(registry_plan, keys.preauth_ids), planned, keys)

    def _note_policy(self, planned: policy.PolicyPlan, known: _TargetContent, report: ImportReport) -> None:
        if known.has_policy and planned.draft is not None:
            planned.draft = None
            if not planned.from_file:
                what = "the tailnet has a policy already"
                done = "left out; headscale policy set FILE sets it"
                self._found.problems.add("policy", report.policy.origin, what, done)
        report.policy.imported = planned.draft is not None and not planned.from_file
        report.policy.warnings = planned.warnings


def _not_empty(known: _TargetContent, target: str) -> CommandError:
    return CommandError(
        f"the tailnet in {target} is not empty: it has {len(known.state.users)} users, {len(known.state.nodes)} nodes "
        f"and {len(known.keys.preauth) + len(known.keys.api)} keys; nothing was changed",
        "add --merge to add to it: records of the same Headscale that it has already stay as they are",
    )


def _issuers(config: Config) -> list[str]:
    oidc = config.oidc
    return [issuer for issuer in (oidc.issuer, *(one.issuer for one in oidc.providers.values())) if issuer]
