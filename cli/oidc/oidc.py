"""`headscale oidc`: examine sign-in, and apply a changed configuration."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from cli.frame.errors import CommandError
from cli.frame.output import emit, pasteable
from cli.frame.parser import Noun

if TYPE_CHECKING:
    from services.auth.doctor import Finding


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "oidc", "Sign-in with OpenID Connect")
    doctor = noun.verb(
        "doctor", _doctor, "Find out why a sign-in does not work; changes nothing and signs no user in", (),
        "headscale oidc doctor\n  headscale oidc doctor --user alice@example.com\n  headscale oidc doctor --dump",
    )  # fmt: skip
    doctor.add_argument("--user", default="", help="also: why this user (id, name or e-mail) cannot connect")
    doctor.add_argument("--provider", default=None, metavar="NAME", help="only this one of oidc.providers; '' for oidc")
    doctor.add_argument("--token", default="", help="an access token (- reads it): examine the claims of its owner")
    doctor.add_argument(
        "--login", action="store_true", help="the same by signing in with a code, if the provider offers that"
    )
    doctor.add_argument("--dump", action="store_true", help="also facts for support; secrets are masked")
    doctor.add_argument("--json", action="store_true", help="the same as -o json")
    noun.verb("reload", _reload, "Apply a changed configuration without a restart", (), "headscale oidc reload")


def _doctor(arguments: argparse.Namespace) -> None:
    from cli.oidc.doctor import run

    if arguments.token == "-":  # so that it does not stand in the list of processes
        arguments.token = sys.stdin.readline().strip()
    report = run(arguments)
    if arguments.json or arguments.output:
        emit(report.data(arguments.dump), "json" if arguments.json else arguments.output)
    else:
        print_findings(report.findings)
        if arguments.dump:
            print()
            emit(report.dump, "yaml")
    if report.failed:
        number = sum(finding.level.value == "FAIL" for finding in report.findings)
        raise CommandError(f"{number} of {len(report.findings)} checks failed")


def print_findings(findings: list[Finding]) -> None:
    """Print findings below a line for each subject, with cause and remedy where something is wrong."""
    subject = ""
    for finding in findings:
        if finding.subject != subject:
            subject = finding.subject
            print(_clean(subject))
        print(f"  {finding.level.value:<5} {finding.check:<16} {pasteable(_clean(finding.text))}")
        for word, text in (("cause", finding.cause), ("remedy", finding.remedy)):
            if text:
                print(f"{'':>24} {word}: {pasteable(_clean(text))}")


def _clean(text: str) -> str:
    # Much of the text comes from the host at the provider's address.
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _reload(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import server_pb2

    from cli.link.remote import Remote

    with Remote(arguments) as remote:
        answer = remote.itself().call("ReloadConfiguration", server_pb2.ReloadConfigurationRequest())
    if arguments.output:
        parts = ("problems", "changed", "needs_restart", "warnings")
        emit({name: list(getattr(answer, name)) for name in parts}, arguments.output)
    for line in answer.warnings if not arguments.output else ():
        sys.stderr.write(f"headscale: {line}\n")
    if answer.problems:
        raise CommandError("\n".join(answer.problems), "the old configuration stays in use")
    if arguments.output:
        return
    print(f"in use now: {', '.join(answer.changed) or 'nothing changed'}")
    if answer.needs_restart:
        print(f"after a restart: {', '.join(answer.needs_restart)}")
