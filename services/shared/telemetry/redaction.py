"""Redaction of credentials in log lines: auth ids, pre-auth keys and API keys, wherever a line has them."""

from __future__ import annotations

import re

_MARK = "hskey-"
_SECRETS = re.compile(
    r"(?P<login>hskey-authreq-[0-9A-Za-z_-]{8})[0-9A-Za-z_-]+"
    r"|(?P<key>hskey-(?:auth|api|client)-[A-Za-z0-9_]{1,12})[A-Za-z0-9_-]+"
)


def redacted(line: str) -> str:
    """Return the line with the secret part of each id and key replaced by "..."; their public prefix remains."""
    if _MARK not in line:
        return line
    return _SECRETS.sub(lambda match: f"{match['login'] or match['key']}...", line)
