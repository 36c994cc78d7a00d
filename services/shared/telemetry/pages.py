"""The registry of a process's debug pages, by name. Knows no HTTP and no page's content."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Document = Mapping[str, object]
"""A JSON value: mapping, list, string, number, boolean or None."""
Parameters = Mapping[str, str]
Read = Callable[[Parameters], Awaitable[Document]]


class PageError(Exception):
    """A page cannot be shown, with an HTTP status and the reason."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class DebugPage:
    """A debug page: its name below /debug/, its description, and the function that reads it."""

    name: str
    about: str
    read: Read
    acts: bool = False
    """True if reading has a side effect; such a page allows POST only."""


class Pages:
    """Debug pages by name. The parts of a process add theirs before it listens."""

    def __init__(self) -> None:
        self._pages: dict[str, DebugPage] = {}
        self._elsewhere: dict[str, str] = {}

    def add(self, name: str, about: str, read: Read, *, acts: bool = False) -> None:
        """Add a page, POST only if reading it `acts`; a later page of the same name replaces it."""
        self._pages[name] = DebugPage(name, about, read, acts)

    def replace(self, name: str, instead: str) -> None:
        """Register a hint for a page that does not exist here, naming the alternative."""
        self._elsewhere[name] = instead

    def find(self, name: str) -> DebugPage:
        """Return the page of a name.

        Raises:
            PageError: there is no such page; the text lists the pages.
        """
        page = self._pages.get(name)
        if page is not None:
            return page
        first = name.partition("/")[0]
        if instead := self._elsewhere.get(first):
            raise PageError(404, f"there is no {first} here: {instead}")
        raise PageError(404, "no such page; there are: " + ", ".join(sorted(self._pages)))

    def index(self) -> Document:
        """Return every page's name and description."""
        return {f"/debug/{page.name}": page.about for _, page in sorted(self._pages.items())}
