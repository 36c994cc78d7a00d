"""A second reader of HuJSON, only for comparing: strips comments and trailing commas, then asks the standard parser."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class NotHuJsonError(ValueError):
    """The text is not HuJSON."""


class Pairs(list[tuple[str, Any]]):
    """An object with every member that was written, in order."""


def parse(text: str) -> Any:
    """The document as Python data, objects as `Pairs` and numbers as written."""
    try:
        return json.loads(
            _without_trailing_commas(_without_comments(text)),
            object_pairs_hook=Pairs,
            parse_float=_Number,
            parse_int=_Number,
            parse_constant=_refuse,
        )
    except (json.JSONDecodeError, RecursionError) as error:
        raise NotHuJsonError(str(error)) from None


class _Number(str):
    __slots__ = ()


def _refuse(word: str) -> NoReturn:
    raise NotHuJsonError(word)


def _without_comments(text: str) -> str:
    """Blanks in the place of comments, so that words on both sides stay apart."""
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == '"':
            end = _string_end(text, at)
            out.append(text[at:end])
        elif text.startswith("//", at):
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            out.append(" ")
        elif text.startswith("/*", at):
            end = text.find("*/", at + 2) + 2
            if end < 2:
                raise NotHuJsonError("comment is not closed")
            out.append(" ")
        else:
            end = at + 1
            out.append(text[at])
        at = end
    return "".join(out)


def _without_trailing_commas(text: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == '"':
            end = _string_end(text, at)
            out.append(text[at:end])
            at = end
            continue
        if text[at] == ",":
            follows = text[at + 1 :].lstrip(" \t\r\n")[:1]
            before = "".join(out[-200:]).rstrip(" \t\r\n")[-1:]
            if follows and follows in "]}" and before not in ("", "[", "{", ",", ":"):
                at += 1
                continue
        out.append(text[at])
        at += 1
    return "".join(out)


def _string_end(text: str, at: int) -> int:
    end = at + 1
    while end < len(text) and text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    return end + 1
