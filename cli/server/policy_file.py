"""The policy file of a configuration, judged as the server that reads it would: with its users and its provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from services.shared.config import Config
    from services.shared.config.model import DatabaseConfig

Fault = tuple[str, str, str]
"""A key, what is wrong with it, and the remedy."""


def fault_of_policy_file(config: Config) -> Fault | None:
    """Return why the policy file cannot be put in force; None where it can, or there is none."""
    path = config.policy.path
    if config.policy.mode != "file" or path is None:
        return None
    from services.policy.offline import PolicyError
    from services.shared.file_rights import unreadable

    if (trouble := unreadable(path)) is not None:
        return ("policy.path", *trouble)
    try:
        _compile(config, path)
    except PolicyError as error:
        lines = "; ".join(str(problem) for problem in error.problems)
        return "policy.path", f"{path}: {lines}", "correct it; headscale policy check FILE says more"
    except UnicodeDecodeError:
        return "policy.path", f"{path} is not UTF-8 text", "save it as UTF-8"
    return None


def _compile(config: Config, path: Path) -> None:
    """Compile the file; users are looked up only if it names something that may be one.

    Raises:
        PolicyError: it is refused.
        UnicodeDecodeError: it is not text.
    """
    from services.policy.offline import PolicyError, ProviderGroups, compile_policy

    text, name = path.read_text(encoding="utf-8"), str(path)
    provider = ProviderGroups(config.oidc.groups.on_conflict) if config.oidc.brings_groups() else None
    try:
        compile_policy(text, name=name, provider=provider)
    except PolicyError:
        users = _user_names(config)
        if not users:
            raise
        compile_policy(text, name=name, provider=provider, user_names=users)


def _user_names(config: Config) -> frozenset[str]:
    """Return the names of the users in the database; none where it cannot be read, which is another fault."""
    import asyncio

    from services.shared.db.place import RefusedDatabaseError, place_of
    from services.shared.db.untouched import UntouchedError

    async def read() -> frozenset[str]:
        return await _read_names((await place_of(config)).database)

    try:
        return asyncio.run(read())
    except (RefusedDatabaseError, UntouchedError, OSError):
        return frozenset()


async def _read_names(database: DatabaseConfig) -> frozenset[str]:
    from services.shared.db.untouched import open_untouched

    file = database.sqlite.path
    if database.type == "sqlite" and (file is None or not file.is_file()):
        return frozenset()
    async with open_untouched(database) as source:
        if "registry_users" not in await source.tables():
            return frozenset()
        return frozenset([str(row["name"]) async for row in source.rows("registry_users", "id")])
