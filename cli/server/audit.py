"""`headscale audit`: what administrators did, and whether anything was removed from the log."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cli.frame.errors import CommandError
from cli.frame.output import data, emit, table, when
from cli.frame.parser import Noun
from cli.frame.values import positive
from cli.link.remote import Remote

if TYPE_CHECKING:
    from smartscale.types.v1 import audit_pb2 as types

PAGE = 500
POLL_SECONDS = 1.0


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "audit", "The log of what administrators did")
    listing = noun.verb("list", _list, "List the newest entries", ("ls", "show"), "headscale audit list --limit 20")
    listing.add_argument("-l", "--limit", type=positive, default=50, help="how many entries, up to 1000 (50)")
    export = noun.verb(
        "export", _export, "Print all entries, a JSON object a line", (), "headscale audit export > audit.jsonl"
    )
    export.add_argument("--after", type=int, default=0, help="only entries after this number")
    noun.verb("tail", _tail, "Print entries as they are made, until interrupted", ("follow",))
    noun.verb("verify", _verify, "Check that no entry was changed or removed")


def _list(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import audit_pb2 as pb

    with Remote(arguments) as remote:
        request = pb.ListEntriesRequest(newest=True, limit=arguments.limit)
        entries = remote.audit().call("ListEntries", request).entries
    if arguments.output:
        emit([data(entry) for entry in entries], arguments.output)
        return
    table(
        ("No.", "Time", "Who", "From", "What", "Target", "Result"),
        [_row(entry) for entry in entries],
        spare=("From", "Target"),
        empty="nothing was changed yet",
    )


def _row(entry: types.AuditEntry) -> tuple[str, ...]:
    what = ".".join(filter(None, (entry.target_type, entry.action, entry.property)))
    return (
        str(entry.seq),
        when(entry.time),
        entry.actor,
        entry.address or entry.wire,
        what,
        entry.target or "-",
        entry.result if not entry.reason else f"{entry.result}: {entry.reason}",
    )


def _export(arguments: argparse.Namespace) -> None:
    with Remote(arguments) as remote:
        for entry in _entries(remote.audit(), arguments.after):
            print(json.dumps(data(entry), ensure_ascii=False))


def _tail(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import audit_pb2 as pb

    with Remote(arguments) as remote:
        remote.audit()
        newest = remote.call("ListEntries", pb.ListEntriesRequest(newest=True, limit=1)).entries
        after = newest[-1].seq if newest else 0
        while True:
            for entry in _entries(remote, after):
                after = entry.seq
                print(json.dumps(data(entry), ensure_ascii=False), flush=True)
            time.sleep(POLL_SECONDS)


def _entries(remote: Remote, after: int) -> Iterator[types.AuditEntry]:
    """Yield entries after a number, read in pages."""
    from smartscale.admin.v1 import audit_pb2 as pb

    while True:
        page = remote.call("ListEntries", pb.ListEntriesRequest(after=after, limit=PAGE)).entries
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].seq


def _verify(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import audit_pb2 as pb

    with Remote(arguments) as remote:
        found = remote.audit().call("VerifyEntries", pb.VerifyEntriesRequest())
    if found.first_wrong:
        raise CommandError(
            f"the audit log is damaged at entry {found.first_wrong}: {found.problem}",
            "compare with an earlier export: headscale audit export",
        )
    if arguments.output:
        emit(data(found), arguments.output)
    else:
        print(f"{found.entries} entries, none changed or removed; the last hash is {found.last_hash}")
