"""Cleans untrusted text, so that it is safe to store and to display."""

from __future__ import annotations

import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean_line(text: str) -> str:
    """Remove control characters, format characters (bidi marks too), surrogates and line breaks from a text."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char for char in text if unicodedata.category(char) not in _UNSEEN)
