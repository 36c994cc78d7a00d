"""What refusals over REST look like."""

from __future__ import annotations

import httpx


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    """An error that clients of either kind can read, and that names what is wrong."""
    body = answer.json()
    assert answer.status_code == status, body
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) == {"title", "status", "detail", "code", "message", "details"}
    assert body["status"] == status and body["detail"] == body["message"] and body["details"] == []
    for word in words:
        assert word in body["detail"]
