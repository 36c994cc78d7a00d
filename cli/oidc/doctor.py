"""Runs `headscale oidc doctor`: configuration, each provider, our own address, the running server."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from cli.frame.errors import CommandError
from cli.oidc.running import examine_running, examine_user
from services.auth.doctor import DoctorReport, Finding, Level, examine_provider, examine_server_url
from services.shared.config import Config, ConfigError, ProviderConfig, load
from services.shared.config.login import key_of_provider


@dataclass(slots=True)
class ExaminationResult:
    """All findings, and facts for support."""

    findings: list[Finding] = field(default_factory=list)
    dump: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """True if any check failed."""
        return any(finding.level is Level.FAIL for finding in self.findings)

    def data(self, dump: bool) -> dict[str, Any]:
        """Return the findings as data for `-o json`; with `dump`, also the facts."""
        found = [{**asdict(finding), "level": finding.level.value} for finding in self.findings]
        return {"ok": not self.failed, "findings": found, **({"dump": self.dump} if dump else {})}


def run(arguments: argparse.Namespace) -> ExaminationResult:
    """Examine everything that the command line requests."""
    outcome = ExaminationResult()
    config = _configuration(arguments, outcome)
    if config is None:
        return outcome
    providers = config.oidc.in_use()
    if arguments.provider is not None:
        if arguments.provider not in providers:
            raise CommandError(f"no provider is called {arguments.provider!r}", f"there are: {_names(providers)}")
        providers = {arguments.provider: providers[arguments.provider]}
    for name in providers:
        prompt = _prompt if arguments.login else None
        report = asyncio.run(examine_provider(config, name, arguments.token, prompt))
        outcome.findings += report.findings
        outcome.dump.setdefault("providers", {})[report.subject] = report.facts
    if providers:
        outcome.findings += asyncio.run(examine_server_url(config.server_url)).findings
    running = DoctorReport("the running server")
    reachable = examine_running(running, arguments, config)
    outcome.findings += running.findings
    outcome.dump["running"] = running.facts
    if arguments.user and reachable:
        person = DoctorReport(f"user {arguments.user}")
        examine_user(person, arguments, config)
        outcome.findings += person.findings
    elif arguments.user:
        person = DoctorReport(f"user {arguments.user}")
        person.skip("user", "users are known only to the running server")
        outcome.findings += person.findings
    return outcome


def _names(providers: Mapping[str, ProviderConfig]) -> str:
    return ", ".join(name or "'' (the default)" for name in providers) or "none"


def _configuration(arguments: argparse.Namespace, outcome: ExaminationResult) -> Config | None:
    report = DoctorReport("configuration")
    config: Config | None = None
    try:
        config = load(Path(arguments.config) if arguments.config else None, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            report.fail("configuration", f"{problem.where}: {problem.key}", problem.what, problem.remedy)
        _add_warnings(report, error.warnings)
    else:
        report.ok("configuration", f"{config.source or 'the environment'} can be used")
        _add_warnings(report, config.warnings)
        if not config.oidc.in_use():
            report.fail(
                "configuration", "no sign-in provider is configured", "oidc.issuer is empty, or oidc.enabled is false",
                "set oidc.issuer, oidc.client_id and oidc.client_secret",
            )  # fmt: skip
        outcome.dump["configuration"] = _effective(config)
    outcome.findings += report.findings
    return config


def _add_warnings(report: DoctorReport, warnings: Sequence[str]) -> None:
    for warning in warnings:
        if ": oidc" in warning or "OIDC" in warning:
            what, _, remedy = warning.partition(" — ")
            report.warn("configuration", what, "", remedy)


def _prompt(text: str) -> None:
    sys.stderr.write(f"headscale: {text}\n")
    sys.stderr.flush()


def _effective(config: Config) -> dict[str, Any]:
    """Return the effective values of `oidc` and their sources; secrets are masked."""
    out: dict[str, Any] = {"server_url": config.server_url}
    for name, provider in config.oidc.in_use().items():
        _flatten(out, key_of_provider(name), provider, config.places)
    return out


def _flatten(out: dict[str, Any], key: str, section: Any, places: Mapping[str, str]) -> None:
    for item in fields(section):
        here, value = f"{key}.{item.name}", getattr(section, item.name)
        if item.name == "providers":
            continue
        if is_dataclass(value):
            _flatten(out, here, value, places)
            continue
        if item.metadata.get("secret"):
            value = f"*** ({len(value)} characters)" if value else ""
        out[here] = {"value": _plain(value), "from": places.get(here, "default")}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)
