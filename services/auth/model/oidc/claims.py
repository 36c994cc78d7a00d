"""Reads single claims in the forms that providers send them. Knows neither users nor rules."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

Document = Mapping[str, Any]

MAX_TEXT = 320
"""Maximum characters of a name; 320 is the longest e-mail address (RFC 5321: 64 + 1 + 255)."""
MAX_URL = 2048

_KINDS = {
    str: "text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    dict: "an object",
    type(None): "null",
}


def claim_at(document: Document, name: str) -> Any:
    """Return the value of a claim: under the whole name, else along its dotted path; None if there is none."""
    if not name:
        return None
    if name in document:
        return document[name]
    value: Any = document
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def first_claim(documents: Sequence[Document], name: str) -> Any:
    """Return the value of a claim in the first document that has it; None if none has."""
    return next((value for document in documents if (value := claim_at(document, name)) is not None), None)


def text_of(value: Any) -> str:
    """Return a claim as one line of text, without surrounding blanks.

    Directories with multi-valued attributes send a list; its first text counts. Anything else is empty.
    """
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, str) and item.strip()), None)
    return cleaned(value)[:MAX_TEXT] if isinstance(value, str) else ""


def is_true(value: Any) -> bool:
    """Return whether a claim is true; some providers send booleans as text (JumpCloud) or as 1 (Entra's `xms_edov`)."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "1")
    return value is True or (isinstance(value, int) and value == 1)


def kind_of(value: Any) -> str:
    """Return the kind of a claim's value for people, without the value: "a list of text"."""
    if isinstance(value, list):
        return "a list of " + (" and ".join(sorted({kind_of(item) for item in value})) or "nothing")
    return _KINDS.get(type(value), type(value).__name__)


def cleaned(text: str) -> str:
    """Return a text on one line without control and format characters, which could make one name look like another."""
    kept = "".join(mark for mark in text if unicodedata.category(mark) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co"))
    return " ".join(kept.split())


def is_web_url(url: str) -> bool:
    """Return whether a text is an http(s) URL that can stand in a page unescaped."""
    if len(url) > MAX_URL or any(mark in url for mark in ' "<>\\^`{|}') or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname)
