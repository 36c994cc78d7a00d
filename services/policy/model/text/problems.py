"""Problems of a document, each with its position; collected, not raised one by one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """An error or a warning about a document."""

    message: str
    where: str = ""
    """Section and index, such as ``acls[3].dst``."""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return one line: place in the document, message, position in the text."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} (line {self.line}, column {self.column})" if self.line else text


class PolicyError(Exception):
    """The document is refused. The text has a line per problem."""

    def __init__(self, problems: Iterable[Problem], lead: str = "") -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        self.lines = tuple([lead, *lines] if lead else lines)
        super().__init__("\n".join(self.lines))


class SyntaxProblem(Exception):  # noqa: N818 - a signal inside the readers, turned into PolicyError at their border
    """The text has a syntax error."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


class Lines:
    """Converts offsets of a text to lines and columns, both counted from one."""

    def __init__(self, text: str) -> None:
        self._starts = [0]
        start = text.find("\n")
        while start >= 0:
            self._starts.append(start + 1)
            start = text.find("\n", start + 1)

    def place(self, at: int) -> tuple[int, int]:
        """Return the line and column of an offset."""
        line = bisect_right(self._starts, at)
        return line, at - self._starts[line - 1] + 1


class Findings:
    """Collector of errors and warnings during the parsing of a document."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def refuse(self, where: str, at: int, message: str) -> None:
        """Add an error, for which the document is refused."""
        self.problems.append(Problem(message, where, *self._lines.place(at)))

    def warn(self, where: str, at: int, message: str) -> None:
        """Add a warning about something that is accepted."""
        self.warnings.append(Problem(message, where, *self._lines.place(at)))
