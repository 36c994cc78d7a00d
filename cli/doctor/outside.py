"""Examines `server_url` as clients reach it: name, certificate, the key shown, and proxies that block the Upgrade."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

from cli.doctor.asking import NoAnswerError, ask
from cli.doctor.inside import local_url
from services.auth.doctor import DoctorReport, Level, examine_server_url

if TYPE_CHECKING:
    from services.shared.config import Config

_KEY = "/key?v=130"
_UPGRADE = {
    "Upgrade": "tailscale-control-protocol",
    "Connection": "upgrade",
    "X-Tailscale-Handshake": "x",  # refused by the server itself, after it has seen the Upgrade
    "Content-Length": "0",
}
_PROXY = "let the proxy pass Upgrade and Connection on POST: docs/operating.md, Behind a reverse proxy"


def examine(config: Config) -> DoctorReport:
    """Examine `server_url` from this host, as a client would."""
    report = asyncio.run(examine_server_url(config.server_url))
    _proxies_of_environment(report)
    if any(finding.check in ("dns", "tcp") and finding.level is not Level.OK for finding in report.findings):
        return report
    base = config.server_url.rstrip("/")
    _whose_key(report, base, config)
    _upgrade(report, base)
    return report


def _whose_key(report: DoctorReport, base: str, config: Config) -> None:
    """Compare the key that clients pin with that of the server on this host."""
    outside, inside = _public_key(base + _KEY), _public_key(local_url(config, _KEY))
    if not outside:
        cause = "a proxy leads elsewhere, or takes the path /key for itself"
        report.fail("key", f"{base}/key shows no key of a control server", cause, "let all paths lead to listen_addr")
    elif not inside:
        report.skip("key", "there is no server on this host to compare with")
    elif outside == inside:
        report.ok("key", f"{base} leads to the server on this host")
    else:
        cause = "the name leads to another server; its clients are not this server's"
        report.fail("key", f"{base} shows the key of another server", cause, "correct DNS, the proxy or server_url")


def _public_key(url: str) -> str:
    try:
        found = json.loads(ask(url).body)
        return str(found["publicKey"])
    except (NoAnswerError, ValueError, KeyError, TypeError):
        return ""


def _upgrade(report: DoctorReport, base: str) -> None:
    """Begin a client's connection with a handshake that the server refuses by its own words."""
    try:
        answer = ask(f"{base}/ts2021", "POST", _UPGRADE)
    except NoAnswerError as error:
        report.fail("upgrade", f"{base}/ts2021: {error}", "a proxy ends the connection of clients", _PROXY)
        return
    if b"handshake" in answer.body:
        report.ok("upgrade", "the Upgrade of clients reaches the server")
    elif b"upgrade header" in answer.body.lower():
        text = "a proxy took the Upgrade header away: no client can connect"
        report.fail("upgrade", text, "proxies drop it by default", _PROXY)
    else:
        text = f"{base}/ts2021 answers {answer.status}, and not as this server does"
        report.fail("upgrade", text, "a proxy answers clients itself", _PROXY)


def _proxies_of_environment(report: DoctorReport) -> None:
    named = [name for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy") if os.environ.get(name)]
    if named:
        report.warn(
            "proxy", f"{named[0]} is set, and the server does not use it",
            "sign-in providers, DERP maps and certificates are reached directly",
            "let this host reach them, or serve DERP maps from files (derp.paths)",
        )  # fmt: skip
