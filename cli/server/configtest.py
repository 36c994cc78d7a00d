"""`headscale configtest`: everything that `serve` would refuse or warn of, and nothing is started or changed."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from cli.frame.errors import CommandError
from cli.frame.output import pasteable
from cli.frame.parser import declare as declare_command
from cli.link.remote import configuration
from cli.server.policy_file import fault_of_policy_file

if TYPE_CHECKING:
    from services.shared.config import Config, ConfigProblem


def declare(nouns: Any) -> None:
    """Add the command."""
    parser = declare_command(
        nouns, "configtest", _configtest, "Check the configuration without starting anything", (),
        "headscale configtest\n  headscale -c config.yaml configtest --strict",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="exit with status 1 on warnings too")


def _configtest(arguments: argparse.Namespace) -> None:
    config = configuration(arguments)
    problems, warnings = inspected(config)
    lines = [*config.warnings, *map(str, warnings)]
    for warning in lines:
        sys.stderr.write(f"headscale: warning: {pasteable(warning)}\n")
    if problems:
        raise CommandError("\n".join(map(str, problems)), "the server would not start, or not do what is asked")
    if lines and arguments.strict:
        number = "a warning" if len(lines) == 1 else f"{len(lines)} warnings"
        raise CommandError(f"--strict refuses {number}", "leave out --strict to pass")
    print(f"{config.source}: ok" if config.source else "ok")


def inspected(config: Config) -> tuple[list[ConfigProblem], list[ConfigProblem]]:
    """Return what forbids a start, and what would not work; nothing is started or changed."""
    from services.shared.config import ConfigProblem
    from services.shared.net.unix_socket import is_served
    from services.shared.preflight import inspect
    from services.shared.preflight.database import unanswered
    from services.shared.preflight.inspection import ALL

    processes = ALL if config.derp.server.enabled else ALL - {"derp"}
    # With our own server running its ports are in use, as they should be.
    report = inspect(config, processes, ports=not is_served(config.unix_socket))
    problems, warnings = report.problems, [one for one in report.warnings if one.key != "policy.path"]
    place = str(config.source or "configuration")
    for found in (unanswered(config) or _database(config), fault_of_policy_file(config)):
        if found is not None and found[0] not in {one.key for one in problems}:
            key, what, remedy = found
            problems.append(ConfigProblem(config.places.get(key, place), key, what, remedy))
    if config.oidc.in_use():
        from services.auth.doctor import fault_of_sections

        known = {one.key for one in problems}
        problems.extend(one for one in fault_of_sections(config) if one.key not in known)
    warnings.extend(ConfigProblem(config.places.get("derp.urls", place), "derp.urls", *each) for each in _urls(config))
    return problems, warnings


def _database(config: Config) -> tuple[str, str, str] | None:
    """Return why the server may not use the database."""
    import asyncio

    from services.shared.db.place import RefusedDatabaseError, key_of, place_of

    try:
        asyncio.run(place_of(config))
    except PermissionError:
        return None  # the inspection names the folder and its owner
    except RefusedDatabaseError as error:
        return key_of(config.database), error.what, error.remedy
    return None


def _urls(config: Config) -> list[tuple[str, str]]:
    """Return why DERP maps of URLs cannot be used now."""
    if not config.derp.urls:
        return []
    import asyncio

    from services.shared.documents import DocumentError
    from services.shared.documents.reading import derp_map_of_url

    async def ask(url: str) -> list[tuple[str, str]]:
        try:
            read = await derp_map_of_url(url)
        except DocumentError as error:
            return [(f"{url} {error}", "the server asks again every 30 seconds")]
        return [(f"{url}: {finding}", "it is left out") for finding in read.findings]

    async def ask_all() -> list[list[tuple[str, str]]]:
        return await asyncio.gather(*map(ask, config.derp.urls))

    return [each for found in asyncio.run(ask_all()) for each in found]
