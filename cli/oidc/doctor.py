"""What `headscale oidc doctor` examines: configuration, each provider, our own address, the running server."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from cli.frame.errors import CommandError
from cli.oidc.running import examine_running, examine_user
from services.auth.doctor import DoctorReport, Finding, Level, examine
from services.auth.doctor.certificates import examine_way
from services.auth.idp.http import ProviderHttp
from services.auth.model.oidc.refusal import SignInError
from services.auth.sign_in_wiring import check, credentials_of, settings_of
from services.shared.config import Config, ConfigError, ProviderConfig, load
from services.shared.config.login import key_of_provider

_FROM_HERE = "it was looked at from this host only: behind one address with others, try from outside too"


@dataclass(slots=True)
class Outcome:
    """All findings, and what helps whoever helps."""

    findings: list[Finding] = field(default_factory=list)
    dump: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether anything must be mended."""
        return any(finding.level is Level.FAIL for finding in self.findings)

    def data(self, dump: bool) -> dict[str, Any]:
        """For programs."""
        found = [{**asdict(finding), "level": finding.level.value} for finding in self.findings]
        return {"ok": not self.failed, "findings": found, **({"dump": self.dump} if dump else {})}


def run(arguments: argparse.Namespace) -> Outcome:
    """Examine everything that the command line asks for."""
    outcome = Outcome()
    config = _configuration(arguments, outcome)
    if config is None:
        return outcome
    providers = config.oidc.in_use()
    if arguments.provider is not None:
        if arguments.provider not in providers:
            raise CommandError(f"no provider is called {arguments.provider!r}", f"there are: {_names(providers)}")
        providers = {arguments.provider: providers[arguments.provider]}
    for name, provider in providers.items():
        tell = _tell if arguments.login else None
        report = asyncio.run(_examine_provider(config, name, provider, arguments.token, tell))
        outcome.findings += report.findings
        outcome.dump.setdefault("providers", {})[report.subject] = report.facts
    if providers:
        outcome.findings += asyncio.run(_examine_ourselves(config)).findings
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


def _configuration(arguments: argparse.Namespace, outcome: Outcome) -> Config | None:
    report = DoctorReport("configuration")
    config: Config | None = None
    try:
        config = load(Path(arguments.config) if arguments.config else None, os.environ)
    except ConfigError as error:
        for problem in error.problems:
            report.fail("configuration", f"{problem.where}: {problem.key}", problem.what, problem.remedy)
    else:
        report.ok("configuration", f"{config.source or 'the environment'} can be used")
        for warning in config.warnings:
            if ": oidc" in warning or "OIDC" in warning:
                what, _, remedy = warning.partition(" — ")
                report.warn("configuration", what, "", remedy)
        if not config.oidc.in_use():
            report.fail(
                "configuration", "no sign-in provider is configured", "oidc.issuer is empty, or oidc.enabled is false",
                "set oidc.issuer, oidc.client_id and oidc.client_secret",
            )  # fmt: skip
        outcome.dump["configuration"] = _effective(config)
    outcome.findings += report.findings
    return config


def _tell(text: str) -> None:
    sys.stderr.write(f"headscale: {text}\n")
    sys.stderr.flush()


async def _examine_provider(
    config: Config, name: str, provider: ProviderConfig, token: str, tell: Callable[[str], None] | None
) -> DoctorReport:
    report = DoctorReport(key_of_provider(name))
    credentials = credentials_of(provider)
    if provider.ca_path is not None and not provider.ca_path.is_file():
        report.fail("ca", f"{provider.ca_path} cannot be read", "it is not there", "name a file of PEM certificates")
        return report
    try:
        check(name, provider, credentials)
    except ConfigError as error:
        for problem in error.problems:
            if "secret" not in problem.key:  # the examination says that itself
                report.fail("configuration", problem.key, problem.what, problem.remedy)
    settings = settings_of(config.server_url, name, provider)
    await examine(report, provider, credentials, settings, datetime.now(UTC), token, tell)
    return report


async def _examine_ourselves(config: Config) -> DoctorReport:
    """What clients and browsers meet at `server_url`, as far as it can be seen from here."""
    seen = DoctorReport("server_url")
    await examine_way(seen, config.server_url, None, datetime.now(UTC), ca_key="nothing: clients need a public one")
    report = DoctorReport(seen.subject)
    if not seen.failed:
        await _examine_answer(seen, config)
    for finding in seen.findings:
        if finding.level is Level.FAIL and finding.check in ("dns", "tcp"):
            report.warn(finding.check, finding.text, f"{finding.cause}; {_FROM_HERE}", finding.remedy)
        else:
            report.findings.append(finding)
    return report


async def _examine_answer(report: DoctorReport, config: Config) -> None:
    """Whether it is our server that answers there, and not only its proxy."""
    http = ProviderHttp()
    url = config.server_url.rstrip("/") + "/health"
    try:
        answer = await http.get(url, redirects=True)
        status = orjson.loads(answer.body).get("status")
    except (SignInError, ValueError, AttributeError):
        status = None
    finally:
        await http.close()
    if status == "pass":
        report.ok("answer", f"{url} answers as our server does")
    elif status == "fail":
        report.warn("answer", f"{url} says that the server is not well", "a part of it is down", "headscale health")
    else:
        text = f"what answers at {url} is not our server"
        report.warn(
            "answer", text, "a proxy leads elsewhere, or the server is down", "let all paths lead to listen_addr"
        )


def _effective(config: Config) -> dict[str, Any]:
    """The values in use below `oidc`, and where each is from; secrets are masked."""
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
