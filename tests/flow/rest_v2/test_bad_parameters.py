"""Every operation of /api/v2 refuses bad texts in its path, its query and its body as the other wires do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from gateway.admin.rest.v2.operation import Operation
from gateway.admin.rest.v2.router import OPERATIONS
from tests.flow.rest_v2.conftest import World

TEXTS = ("a\0b", "a\x1bb", "a\x85b", "a\u202eb", "x" * 3000)
GOOD: dict[str, Any] = {"string": "a", "array": [], "boolean": True, "integer": 60, "object": {}}
"""A value of each JSON type."""
QUERY = {"/tailnet/{tailnet}/logging/configuration": {"start": "2026-01-02T03:04:05Z", "end": "2026-01-03T03:04:05Z"}}
"""Parameters that an operation must have."""
NAMED = {"tailnet": "-", "device": "1", "user": "1", "key": "1"}


@dataclass(frozen=True)
class Case:
    """One operation with one bad text."""

    operation: Operation
    place: str
    """Name of the parameter."""
    value: Any
    within: str
    """`path`, `query` or `body`."""

    async def made(self, api: httpx.AsyncClient) -> httpx.Response:
        """The answer."""
        path, bad = self.operation.path, {self.place: self.value}
        for name, text in (NAMED | (bad if self.within == "path" else {})).items():
            path = path.replace(f"{{{name}}}", quote(str(text), safe=""))
        body = {name: GOOD[kind] for name, kind in self.operation.body.items()}
        body |= bad if self.within == "body" else {}
        return await api.request(
            self.operation.verb,
            path,
            params=QUERY.get(self.operation.path, {}) | (bad if self.within == "query" else {}),
            content=orjson.dumps(body) if body else None,
        )


def cases() -> Iterator[Case]:
    """Every text that an operation reads, with every bad value."""
    for one in OPERATIONS:
        members = {**one.body, **one.optional}
        for text in TEXTS:
            yield from (Case(one, name, text, "path") for name in NAMED if f"{{{name}}}" in one.path)
            yield from (Case(one, name, text, "query") for name in one.query)
            yield from (Case(one, name, text, "body") for name, kind in members.items() if kind == "string")
            yield from (Case(one, name, ["tag:a", text], "body") for name, kind in members.items() if kind == "array")


async def test_bad_texts_are_refused_everywhere(world: World) -> None:
    for case in cases():
        answer = await case.made(world.api)
        where = (case.operation.verb, case.operation.path, case.place, case.within, repr(case.value)[:24])
        assert answer.status_code in (400, 404), (where, answer.status_code, answer.text[:200])
        assert set(answer.json()) >= {"message"}, where
