"""`headscale doctor`: every examination in order, joined with that of sign-in, and how the findings are printed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.frame.errors import CommandError
from cli.frame.output import emit
from cli.frame.parser import declare as declare_command

if TYPE_CHECKING:
    from services.auth.doctor import DoctorReport, Finding
    from services.shared.config import Config


def declare(nouns: Any) -> None:
    """Add the command."""
    parser = declare_command(
        nouns, "doctor", _doctor,
        "Find out why a server or its clients do not work: configuration, listeners, names, certificates, proxies, "
        "relay, STUN, database, bus, time and sign-in; changes nothing",
        (), "headscale doctor\n  headscale -c config.yaml doctor -o json",
    )  # fmt: skip
    parser.add_argument("--no-oidc", action="store_true", help="without the examination of sign-in (oidc doctor)")


def _doctor(arguments: argparse.Namespace) -> None:
    from cli.oidc.doctor import ExaminationResult
    from cli.oidc.oidc import print_findings

    outcome = ExaminationResult()
    for findings in _findings(arguments):
        outcome.findings += findings
        if not arguments.output:
            print_findings(findings)
    if arguments.output:
        emit(outcome.data(dump=False), arguments.output)
    if outcome.failed:
        number = sum(finding.level.value == "FAIL" for finding in outcome.findings)
        raise CommandError(f"{number} of {len(outcome.findings)} checks failed")


def _findings(arguments: argparse.Namespace) -> Iterator[list[Finding]]:
    """Yield the findings of each examination as soon as it ends."""
    from cli.doctor import clock, inside, outside, relay

    config, report = _configuration(arguments)
    yield report.findings
    if config is None:
        return
    yield inside.examine(config).findings
    yield outside.examine(config).findings
    yield relay.examine(config).findings
    yield clock.examine(config).findings
    if config.oidc.in_use() and not arguments.no_oidc:
        yield _sign_in(arguments)


def _configuration(arguments: argparse.Namespace) -> tuple[Config | None, DoctorReport]:
    from cli.server.configtest import inspected
    from services.auth.doctor import DoctorReport
    from services.shared.config import ConfigError, load

    report = DoctorReport("configuration")
    try:
        config = load(Path(arguments.config) if arguments.config else None, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            report.fail("configuration", f"{problem.where}: {problem.key} {problem.what}", "", problem.remedy)
        return None, report
    problems, warnings = inspected(config)
    for line in config.warnings:
        what, _, remedy = line.partition(" — ")
        report.warn("configuration", what, "", remedy)
    for problem in warnings:
        report.warn("configuration", f"{problem.where}: {problem.key} {problem.what}", "", problem.remedy)
    for problem in problems:
        report.fail("configuration", f"{problem.where}: {problem.key} {problem.what}", "", problem.remedy)
    if not problems:
        report.ok("configuration", f"{config.source or 'the environment'} can be used")
    return config, report


def _sign_in(arguments: argparse.Namespace) -> list[Finding]:
    from cli.oidc.doctor import run

    shown = argparse.Namespace(**{**vars(arguments), "provider": None, "login": False, "token": "", "user": ""})
    examined = ("configuration", "server_url")  # by the examinations above
    return [finding for finding in run(shown).findings if finding.subject not in examined]
