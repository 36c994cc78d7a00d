"""Every operation of /api/v2 against every scope: made from the table of operations and the rules of scopes."""

from __future__ import annotations

import asyncio
import re

import httpx

from gateway.admin.calls.table import NOUNS
from gateway.admin.rest.v2.router import OPERATIONS
from gateway.admin.scopes import SCOPES
from services.shared.scopes import NAMES, READ, gives_tags, grants
from tests.flow.rest_v2.conftest import World
from tests.flow.rest_v2.test_keys import KEYS

UNKNOWN = {
    "tailnet": "-",
    "device": "nNobodyCNTRL",
    "user": "987654",
    "key": "nobody",
    "attribute": "custom:a",
    "contact": "support",
}


def path_of(template: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda name: UNKNOWN[name[1]], template)


async def test_every_operation_is_open_to_exactly_the_scopes_that_grant_it(world: World) -> None:
    """Requests are about records that do not exist, so that nothing changes: 403 comes before everything else."""
    calls = 0
    for scope in sorted(NAMES):
        tags = ["tag:web"] if gives_tags([scope]) else []
        made = (await world.api.post(KEYS, json={"keyType": "client", "scopes": [scope], "tags": tags})).json()
        form = {"client_secret": made["key"]}
        async with httpx.AsyncClient(base_url=world.tailnet.url + "/api/v2", timeout=30) as api:
            token = (await api.post("/oauth/token", data=form)).json()["access_token"]
            headers = {"authorization": f"Bearer {token}", "if-match": '"0"'}
            answers = await asyncio.gather(
                *(
                    api.request(one.verb, path_of(one.path), headers=headers, content=b'{"acls": "none"}')
                    for one in OPERATIONS
                )
            )
        for one, answer in zip(OPERATIONS, answers, strict=True):
            allowed = any(grants([scope], wanted) for wanted in one.scopes)
            # A key's kind decides further, which an operation on a key that does not exist cannot tell.
            if not (one.checked_inside and allowed):
                assert (answer.status_code != 403) is allowed, (scope, one.verb, one.path, answer.text)
            assert answer.status_code < 500
            if not allowed:
                assert all(wanted in answer.json()["message"] for wanted in one.scopes)
            calls += 1
    assert calls == len(NAMES) * len(OPERATIONS)


def test_every_call_has_a_scope_and_every_scope_exists() -> None:
    calls = {str(method.full_name) for service in NOUNS for method in service.methods}
    assert set(SCOPES) == calls
    named = {scope for scopes in SCOPES.values() for scope in scopes}
    named |= {scope for one in OPERATIONS for scope in one.scopes}
    assert named <= NAMES


def test_no_call_that_changes_something_is_open_to_a_reading_scope() -> None:
    reading = ("List", "Get", "Check", "Explain", "Preview", "Diff", "Describe", "Show", "Health", "Verify")
    for name, scopes in SCOPES.items():
        reads = name.rpartition(".")[2].startswith(reading)
        assert reads or (scopes and not any(scope.endswith(READ) for scope in scopes)), name
