"""Why an HTTP request failed, in words. Sends nothing; httpx itself names only classes of errors."""

from __future__ import annotations

import os
import socket
import ssl

_OF_HTTPX = {
    "InvalidURL": "the URL is malformed",
    "UnsupportedProtocol": "the URL begins with neither http:// nor https://",
    "TooManyRedirects": "it redirects too often",
    "RemoteProtocolError": "what answers is not HTTP",
}
"""Reasons by class, so that httpx need not be imported here."""


def request_failure(error: BaseException | None) -> str:
    """Return why a request failed, by the innermost error that says it."""
    known = ""
    while error is not None:
        if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
            return "no answer in time"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({error.verify_message})"
        if isinstance(error, ssl.SSLError):
            return "the TLS handshake failed"
        if isinstance(error, socket.gaierror):
            return "its name cannot be resolved"
        if text := _OF_HTTPX.get(type(error).__name__):
            return text
        if isinstance(error, OSError) and error.errno:
            known = os.strerror(error.errno).lower()
        error = error.__cause__ or error.__context__
    return known or "the connection broke"
