"""The report of an import: what comes over, what changes, what cannot; as tables and as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from cli.frame.output import pasteable, table
from services.shared.imported import Counts, ImportProblem

KINDS = ("users", "nodes", "preauthkeys", "apikeys", "routes")
MOST_SHOWN = 200
"""Problems that are printed for people; data has all."""


@dataclass(frozen=True, slots=True)
class ImportRefusal:
    """Why nothing was imported although a report could be made."""

    what: str
    remedy: str


@dataclass(slots=True)
class PolicyReport:
    """The result for the policy."""

    found: bool = False
    origin: str = ""
    """`database`, or the path of its file; empty if there is none."""
    imported: bool = False
    """False also where the server reads the file itself."""
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class ImportReport:
    """The result of an import, or of its dry run."""

    release: str
    database: str
    schema: str
    target: str
    dry_run: bool
    counts: dict[str, Counts]
    policy: PolicyReport = field(default_factory=PolicyReport)
    problems: tuple[ImportProblem, ...] = ()
    refusal: ImportRefusal | None = None


def as_data(report: ImportReport) -> dict[str, Any]:
    """Return the report as plain data."""
    data: dict[str, Any] = {
        "source": {"release": report.release, "database": report.database, "schema": report.schema},
        "target": report.target,
        "dry_run": report.dry_run,
        **{kind: asdict(report.counts[kind]) for kind in KINDS},
        "policy": asdict(report.policy) | {"warnings": list(report.policy.warnings)},
        "problems": [asdict(problem) for problem in report.problems],
    }
    if report.refusal is not None:
        data["error"] = report.refusal.what
    return data


def print_report(report: ImportReport) -> None:
    """Print the report for people."""
    print(f"from {report.database} (Headscale {report.release})")
    print(f"to   {report.target}\n")
    heads = ["", "FOUND", "IMPORTED", "ALREADY THERE", "LEFT OUT"]
    table(heads, [_line(kind, report.counts[kind]) for kind in KINDS])
    print(f"policy: {_policy(report.policy)}")
    for warning in report.policy.warnings:
        print(f"  {warning}")
    if report.problems:
        print()
        shown = report.problems[:MOST_SHOWN]
        table(
            ["KIND", "ID", "WHAT", "DONE"],
            [[problem.kind, problem.id, problem.what, pasteable(problem.done)] for problem in shown],
        )
        if len(report.problems) > len(shown):
            print(f"({len(report.problems) - len(shown)} more; -o json has all)")
    print()


def _line(kind: str, counts: Counts) -> list[str]:
    numbers = (counts.found, counts.imported, counts.already_there, counts.left_out)
    return [kind, *(str(number) for number in numbers)]


def _policy(policy: PolicyReport) -> str:
    if not policy.found:
        return "none; everything is allowed"
    where = "the database" if policy.origin == "database" else policy.origin
    if policy.imported:
        return f"taken over from {where}"
    return f"in {where}, which the server reads itself" if policy.origin != "database" else "left out"
