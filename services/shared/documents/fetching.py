"""Fetches documents over HTTP within bounds of time and size. Knows no document's meaning."""

from __future__ import annotations

import asyncio

from services.shared.documents.bounded import MAX_BYTES, DocumentError
from services.shared.request_failures import request_failure

_SECONDS = 20.0
"""For the whole document: a server that sends a byte now and then is given up too."""


async def fetch(url: str) -> bytes:
    """Return the body that a URL answers with.

    Raises:
        DocumentError: it cannot be fetched; the text is the reason.
    """
    import httpx  # late: servers that fetch nothing do not pay for it

    try:
        async with (
            asyncio.timeout(_SECONDS),
            httpx.AsyncClient(follow_redirects=True, timeout=_SECONDS) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise DocumentError(f"cannot be fetched: the server answers {answer.status_code}")
            body = bytearray()
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    raise DocumentError(f"is larger than {MAX_BYTES >> 20} MiB")
            return bytes(body)
    except TimeoutError:
        raise DocumentError(f"cannot be fetched: no answer within {_SECONDS:.0f} seconds") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError(f"cannot be fetched: {request_failure(error)}") from None
