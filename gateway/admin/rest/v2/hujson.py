"""HuJSON to JSON: comments and trailing commas away, everything else as it stands. Pure; for texts that are valid."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
    (?P<text>"(?:[^"\\]|\\.)*")
  | (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<comma>,)
  | (?P<space>\s+)
  | (?P<other>[^"/,\s]+|/)
    """,
    re.VERBOSE | re.DOTALL,
)


def standardize(text: str) -> str:
    """Return a HuJSON document as JSON."""
    kept: list[str] = []
    comma = ""
    for match in _TOKEN.finditer(text.removeprefix("\ufeff")):
        kind, token = match.lastgroup, match.group()
        if kind in ("comment", "space"):
            continue
        if kind == "comma":
            comma = ","
            continue
        if comma and token[0] not in "]}":
            kept.append(comma)
        comma = ""
        kept.append(token)
    return "".join(kept)
