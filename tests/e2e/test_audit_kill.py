"""A thousand changes with `kill -9` among them: each answered one has exactly one entry, each entry a change."""

from __future__ import annotations

import http.client
import json
import random
import threading
import urllib.error
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
from smartscale.admin.v1 import audit_pb2, audit_pb2_grpc
from smartscale.types.v1.audit_pb2 import AuditEntry

from tests.e2e.alone import Alone

CHANGES = 1000
KILLS = 5


def create(server: Alone, number: int) -> bool:
    """Create a user. Returns whether the server said that it is done."""
    try:
        status, _ = server.ask("POST", "/api/v1/user", {"name": f"user{number}"})
    except (OSError, urllib.error.URLError, http.client.HTTPException):
        return False
    return status == 200


def entries(server: Alone) -> list[AuditEntry]:
    """All entries of a log that verifies."""
    found: list[AuditEntry] = []
    with grpc.insecure_channel(f"unix:{server.socket}") as channel:
        stub: Any = audit_pb2_grpc.AuditAdminServiceStub(channel)
        verdict = stub.VerifyEntries(audit_pb2.VerifyEntriesRequest(), timeout=60, wait_for_ready=True)
        assert (verdict.first_wrong, verdict.problem) == (0, "")
        while True:
            after = found[-1].seq if found else 0
            page = stub.ListEntries(audit_pb2.ListEntriesRequest(after=after, limit=1000), timeout=60).entries
            found += page
            if len(page) < 1000:
                return found


def test_no_acknowledged_change_is_missing_from_the_log(tmp_path: Path) -> None:
    server = Alone(tmp_path)
    chance = random.Random(7)
    answered: set[str] = set()
    kills = sorted(chance.sample(range(CHANGES), KILLS))
    try:
        for number in range(CHANGES):
            if number in kills:
                killer = threading.Timer(chance.uniform(0, 0.03), server.kill)
                killer.start()
                if create(server, number):
                    answered.add(f"user{number}")
                killer.join()
                server.start()
            elif create(server, number):
                answered.add(f"user{number}")
        _, listed = server.ask("GET", "/api/v1/user")
        users = {user["name"] for user in listed["users"]}
        made = Counter(
            json.loads(entry.new_value)["name"]
            for entry in entries(server)
            if entry.call.endswith("CreateUser") and entry.result == "OK"
        )
    finally:
        server.close()
    assert len(answered) >= CHANGES - KILLS
    assert answered <= users
    assert set(made.values()) == {1}
    assert answered <= set(made) <= users
