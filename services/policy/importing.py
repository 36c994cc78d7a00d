"""Imports the policy of another control server: compiles it, plans the version to store, and writes it.

Policies of Headscale up to 0.25 name users without an @; they are read with the names of the imported users.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from services.policy.model.compiler import compile_policy
from services.policy.model.text.problems import PolicyError
from services.policy.model.version import CheckedPolicy, etag_of
from services.policy.sql import SqlStore
from services.policy.sql.tables import VERSION_TABLE
from services.policy.usecases import Rules
from services.policy.wire import ChangeCodec
from services.policy.wiring import MIGRATIONS, rules_of
from services.shared.access.compiled import ALLOW_ALL, CompiledPolicy
from services.shared.config.model import Config
from services.shared.db.database import migrate
from services.shared.db.engine import AsyncConnection, AsyncEngine
from services.shared.ids import TailnetId
from services.shared.imported import ImportedPolicy

AUTHOR = "import"
FILE_AUTHOR = "file"


class RefusedPolicyError(Exception):
    """The imported policy is invalid here; `lines` have the reasons."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class PolicyPlan:
    """The compiled policy, its warnings, and the version to store, if any."""

    def __init__(self, compiled: CompiledPolicy = ALLOW_ALL, warnings: tuple[str, ...] = ()) -> None:
        self.compiled = compiled
        self.warnings = warnings
        self.draft: CheckedPolicy | None = None
        self.from_file = False


def plan(policy: ImportedPolicy | None, config: Config, user_names: Collection[str], now: datetime) -> PolicyPlan:
    """Compile a policy as the server will.

    In file mode the server reads the file itself. Its text is stored as the first version all the same, so that a good
    one is there at the first start, when it is not known yet which users an old spelling means.

    Raises:
        RefusedPolicyError: the policy is invalid here.
    """
    if policy is None:
        return PolicyPlan()
    rules: Rules = rules_of(config)
    try:
        document = compile_policy(
            policy.text, name=policy.name, domains=rules.domains, user_names=user_names, provider=rules.provider
        )
    except PolicyError as error:
        raise RefusedPolicyError(tuple(error.lines)) from None
    planned = PolicyPlan(document.policy, tuple(str(warning) for warning in document.warnings))
    planned.from_file = rules.file_mode
    compiled = document.policy.to_bytes()
    if not rules.file_mode:
        planned.draft = CheckedPolicy(
            policy.text, compiled, AUTHOR, f"taken over from {policy.origin}", now, etag_of(policy.text)
        )
    elif policy.origin == str(config.policy.path):
        planned.draft = CheckedPolicy(policy.text, compiled, FILE_AUTHOR, policy.name, now, etag_of(policy.text))
    return planned


class PolicyTarget:
    """The policy service's tables of one tailnet."""

    def __init__(self, tailnet: TailnetId) -> None:
        self._tailnet = tailnet

    async def prepare(self, engine: AsyncEngine) -> None:
        """Migrate the tables to the newest version."""
        await migrate(engine, MIGRATIONS, VERSION_TABLE)

    async def is_empty(self, connection: AsyncConnection) -> bool:
        """Return whether no policy was ever stored."""
        return await self._store(connection).newest_on(connection) == 0

    async def write(self, connection: AsyncConnection, plan: PolicyPlan) -> None:
        """Store the policy and put it in force, as a numbered change."""
        if plan.draft is not None:
            await self._store(connection).accept_on(connection, plan.draft, "")

    def _store(self, connection: AsyncConnection) -> SqlStore:
        return SqlStore(connection.engine, self._tailnet, ChangeCodec())
