"""White space and comments between the tokens of a HuJSON document: canonical form and widths. Pure."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

_PART = re.compile(r"[ \t\n]+|//[^\n]*|/\*.*?\*/", re.DOTALL)
_BLANK_START, _BLANK_END = re.compile(r"\A\n{2,}"), re.compile(r"\n{2,}\Z")
_MOST_NEWLINES = 2
"""One blank line at most."""
_SPACE = " \t"


@dataclass(frozen=True, slots=True)
class Gap:
    """What the place of a gap in the document requires."""

    breaks: bool = False
    """It must have a line break."""
    ends_line: bool = False
    """It must end with a line break."""
    blank_start: bool = True
    """It may start with a blank line."""
    blank_end: bool = True
    """It may end with a blank line."""
    closes: bool = False
    """A closing bracket follows, which stands one tab less deep."""
    never_empty: bool = False
    """It is a space if it has neither comments nor line breaks."""


@dataclass(slots=True)
class Widths:
    """Widths in bytes of the lines of a piece of text."""

    lines: list[int]

    @classmethod
    def of(cls, width: int) -> Widths:
        """Return the width of a piece without line breaks."""
        return cls([width])

    def add(self, other: Widths) -> None:
        """Append a piece: its first line continues the last one."""
        self.lines[-1] += other.lines[0]
        if len(other.lines) > 1:
            self.lines.append(other.lines[-1])


_NOTHING = Widths([0])


def arranged(extra: str, depth: int, gap: Gap = Gap()) -> str:
    """Return a gap in canonical form; `depth` is the indentation of what follows, in tabs."""
    if not extra and not gap.breaks and not gap.ends_line:
        return " " if gap.never_empty else ""
    text = "\n" if gap.breaks and "\n" not in extra else ""
    for part in _PART.findall(extra):
        if part[0] != "/":
            text += "\n" * min(part.count("\n"), _MOST_NEWLINES)
            continue
        text += "\t" * depth if text.endswith("\n") else " "
        text += _block(part, depth) if "\n" in part else part.rstrip()
    if gap.ends_line and not text.endswith("\n"):
        text += "\n"
    if not gap.blank_start:
        text = _BLANK_START.sub("\n", text)
    if not gap.blank_end:
        text = _BLANK_END.sub("\n", text)
    if text.endswith("\n"):
        return text + "\t" * (depth - gap.closes)
    return text + " " if text or gap.never_empty else ""


def _block(comment: str, depth: int) -> str:
    """Return a comment of several lines, indented again; lines that start with a star stay in the star's column."""
    first, *others = (line.rstrip() for line in comment.split("\n"))
    common = _common([line for line in others if line])
    if others[-1].lstrip(_SPACE) == "*/":
        others[-1] = common[: len(common) - len(common.lstrip(_SPACE))] + "*/"
    indentation = len(common) - len(common.lstrip(_SPACE))
    star = " " if all((first, *others)) and common.lstrip(_SPACE).startswith("*") else ""
    return "\n".join((first, *("\t" * depth + star + line[indentation:] if line else "" for line in others)))


def _common(lines: list[str]) -> str:
    """Return the prefix that the lines share; a last line with nothing but the end of the comment does not count."""
    if lines[-1].lstrip(_SPACE) == "*/" and len(lines) > 1:
        lines = lines[:-1]
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*lines, strict=False))
    return "".join(letters[0] for letters in same)


def widths_of(extra: str) -> Widths:
    """Return about how wide the comments of a gap are, with a space before each and one after them."""
    if not extra:
        return _NOTHING
    first, newline, rest = extra.partition("\n")
    if not newline:
        return Widths.of(_comments(extra))
    return Widths([_comments(first), _comments(rest.rpartition("\n")[2])])


def _comments(text: str) -> int:
    width = 0
    while text := text.lstrip(_SPACE):
        end = text.find("*/", 2) + 2 if text.startswith("/*") else 0
        if text[0] != "/" or (end < 2 and text.startswith("/")):
            break
        width += 1 + len(text[:end].encode("utf-8", "surrogatepass"))
        text = text[end:]
    if text.startswith("/"):  # up to the end of the line
        return width + 1 + len(text.encode("utf-8", "surrogatepass"))
    return width + 1 if width else 0
