"""`headscale import`: declares the command, finds source and target, prints the report."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.output import emit, pasteable
from cli.frame.parser import declare as declare_command
from cli.link.remote import configuration
from cli.moving.report import as_data, print_report


def declare(nouns: Any) -> None:
    """Add the command."""
    command = declare_command(
        nouns, "import", _import, "Take over users, nodes, keys and policy of a Headscale (0.22 and later)", (),
        "headscale import --dry-run\n  headscale import\n"
        "  headscale import --from /backup/db.sqlite --noise-key /backup/noise_private.key\n"
        "  headscale import --from postgres://headscale@db.example.com/headscale",
    )  # fmt: skip
    command.add_argument(
        "--from",
        dest="source",
        default="",
        metavar="FILE|DSN",
        help="its database; default: what the configuration names",
    )
    command.add_argument("--policy", default="", metavar="FILE", help="its policy file, in place of what is found")
    command.add_argument("--noise-key", default="", metavar="FILE", help="its noise_private.key, which clients pin")
    command.add_argument("--dry-run", action="store_true", help="report what would happen, and write nothing")
    command.add_argument("--merge", action="store_true", help="add to a tailnet that is not empty")


def _import(arguments: argparse.Namespace) -> None:
    import asyncio

    from cli.moving.failures import command_errors
    from cli.moving.moving import ImportOptions, run

    wishes = ImportOptions(arguments.source, arguments.policy, arguments.noise_key, arguments.dry_run, arguments.merge)

    def show(report: Any) -> None:
        if not arguments.output:
            print_report(report)

    with command_errors():
        report = asyncio.run(run(configuration(arguments), wishes, show))
    if arguments.output:
        emit(as_data(report), arguments.output)
    elif report.refusal:
        pass
    elif arguments.dry_run:
        print("nothing was written (--dry-run)")
    else:
        print(pasteable(f"imported into {report.target}; start the server: headscale serve"))
    if report.refusal:
        raise CommandError(report.refusal.what, report.refusal.remedy)
