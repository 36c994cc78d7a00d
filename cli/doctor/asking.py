"""Small questions to an HTTP or HTTPS server, with every failure as a reason in words. Trusts any certificate.

Whether a certificate holds is examined elsewhere; here it only matters who answers.
"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

SECONDS = 5.0
_MAX_BODY = 1 << 16


class NoAnswerError(Exception):
    """There was no HTTP answer; the text is the reason."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Status, headers with names in lower case, and the beginning of the body."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def ask(url: str, method: str = "GET", headers: dict[str, str] | None = None) -> HttpReply:
    """Send one request and read the answer; redirects are not followed.

    Raises:
        NoAnswerError: no HTTP answer within a few seconds.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, parts.port, timeout=SECONDS, context=any_certificate())
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=SECONDS)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), headers=headers or {})
        answer = connection.getresponse()
        known = {name.lower(): value for name, value in answer.getheaders()}
        body = b"" if answer.status == http.HTTPStatus.SWITCHING_PROTOCOLS else answer.read(_MAX_BODY)
        return HttpReply(answer.status, body, known)
    except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
        raise NoAnswerError(reason(error)) from None
    finally:
        connection.close()


def any_certificate() -> ssl.SSLContext:
    """Return a context that takes every certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def reason(error: Exception) -> str:
    """Return why a connection failed, in lower case and without error numbers."""
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS:.0f} seconds"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or 'unknown reason').lower().replace('_', ' ')}"
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return f"the answer is not HTTP ({type(error).__name__})"
