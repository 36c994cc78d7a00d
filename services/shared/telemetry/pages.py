"""The debug pages of a process: what each part of it lets operators look at. Owns names; knows no HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Document = Mapping[str, object]
"""Plain values that JSON has: mappings, lists, texts, numbers, truth values, None."""
Parameters = Mapping[str, str]
Read = Callable[[Parameters], Awaitable[Document]]


class PageError(Exception):
    """A page cannot be shown; says why, with a status of HTTP."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Page:
    """One page: a name below /debug/, what it shows, and how it is read."""

    name: str
    about: str
    read: Read
    acts: bool = False
    """Whether reading it has an effect: such a page answers POST alone."""


class Pages:
    """The pages by name. Parts of a process add theirs before it listens."""

    def __init__(self) -> None:
        self._pages: dict[str, Page] = {}
        self._elsewhere: dict[str, str] = {}

    def add(self, name: str, about: str, read: Read, *, acts: bool = False) -> None:
        """Offer a page, by POST alone if reading it `acts`; the last of a name wins."""
        self._pages[name] = Page(name, about, read, acts)

    def replace(self, name: str, instead: str) -> None:
        """Say what there is instead of a page that does not exist here."""
        self._elsewhere[name] = instead

    def find(self, name: str) -> Page:
        """The page of a name.

        Raises:
            PageError: there is none; the text says what there is.
        """
        page = self._pages.get(name)
        if page is not None:
            return page
        first = name.partition("/")[0]
        if instead := self._elsewhere.get(first):
            raise PageError(404, f"there is no {first} here: {instead}")
        raise PageError(404, "no such page; there are: " + ", ".join(sorted(self._pages)))

    def index(self) -> Document:
        """Every page with what it shows."""
        return {f"/debug/{page.name}": page.about for _, page in sorted(self._pages.items())}
