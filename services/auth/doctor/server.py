"""Examines `server_url` as clients and browsers reach it, as far as possible from this host."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from services.auth.doctor.certificates import examine_way
from services.auth.doctor.report import DoctorReport, Level
from services.auth.idp.http import ProviderHttp
from services.auth.model.oidc.refusal import SignInError

_FROM_HERE = "the check ran on this host only: behind one address with others, try from outside too"


async def examine_server_url(server_url: str) -> DoctorReport:
    """Examine `server_url` as clients and browsers reach it, as far as possible from this host."""
    seen = DoctorReport("server_url")
    await examine_way(seen, server_url, None, datetime.now(UTC), ca_key="nothing: clients need a public one")
    report = DoctorReport(seen.subject)
    if not seen.failed:
        await _examine_answer(seen, server_url)
    for finding in seen.findings:
        if finding.level is Level.FAIL and finding.check in ("dns", "tcp"):
            report.warn(finding.check, finding.text, f"{finding.cause}; {_FROM_HERE}", finding.remedy)
        else:
            report.findings.append(finding)
    return report


async def _examine_answer(report: DoctorReport, server_url: str) -> None:
    """Return whether our server answers there, and not only its proxy."""
    http = ProviderHttp()
    url = server_url.rstrip("/") + "/health"
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
        report.warn("answer", f"{url} reports that the server is not healthy", "a part is down", "headscale health")
    else:
        text = f"what answers at {url} is not our server"
        report.warn(
            "answer", text, "a proxy leads elsewhere, or the server is down", "let all paths lead to listen_addr"
        )
