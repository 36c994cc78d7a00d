"""HTML escaped by construction: a template's fields are escaped unless they are HTML already."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from string import Formatter
from typing import Any


class Html(str):
    """Text that is HTML already. Only `html` and `join` make it out of values."""

    __slots__ = ()


class _Escaping(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        return value if isinstance(value, Html) else escape(format(value, format_spec), quote=True)

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if conversion is not None:
            raise ValueError("a template converts nothing, or it would lose what is escaped")
        return value


_FORMATTER = _Escaping()


def html(template: str, /, **values: object) -> Html:
    """Fill a template of ours; `{name}` is escaped unless the value is `Html`."""
    return Html(_FORMATTER.vformat(template, (), values))


def join(parts: Iterable[Html]) -> Html:
    """Join pieces of HTML."""
    return Html("".join(parts))
