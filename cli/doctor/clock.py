"""Compares this host's clock with that of a remote server. Sets no clock."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from cli.doctor.asking import NoAnswerError, ask
from services.auth.doctor import DoctorReport

if TYPE_CHECKING:
    from services.shared.config import Config

_TOLERANCE = 30.0
"""Seconds. Tokens of providers and certificates are dated; most accept a minute."""


def examine(config: Config) -> DoctorReport:
    """Compare with the Date header of the first provider or DERP map address that answers."""
    report = DoctorReport("time")
    urls = [*(provider.issuer for provider in config.oidc.in_use().values()), *config.derp.urls]
    for url in urls:
        offset = _offset(url)
        if offset is None:
            continue
        if abs(offset) <= _TOLERANCE:
            report.ok("clock", f"this host and {url} agree within {_TOLERANCE:.0f} seconds")
        else:
            way = "behind" if offset > 0 else "ahead of"
            text = f"this host's clock is {abs(offset):.0f} seconds {way} that of {url}"
            cause = "tokens and certificates seem expired or not yet valid"
            report.fail("clock", text, cause, "set it: timedatectl set-ntp true")
        return report
    report.skip("clock", "no server elsewhere to compare with: needs a sign-in provider or derp.urls")
    return report


def _offset(url: str) -> float | None:
    """Return how many seconds the other clock is ahead; None where it sends no date."""
    try:
        date = ask(url, "HEAD").headers.get("date", "")
        return parsedate_to_datetime(date).timestamp() - time.time()
    except (NoAnswerError, ValueError, TypeError):
        return None
