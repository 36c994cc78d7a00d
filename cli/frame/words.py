"""Puts the words of a command line into the order that argparse reads: nouns and verbs, options, arguments.

Cobra, which Headscale uses, takes options before the command, between its words and after its arguments, switches with
a value (`--reusable=false`), and option values that begin with a dash. argparse takes none of these by itself. Words
that do not form a command are returned as they are, so that argparse explains what is wrong with them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from cli.frame.output import FORMATS

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
"""The words of Go's strconv.ParseBool."""
_END = "--"


class _Read:
    """Words of one command, sorted; `switches` holds the last value of each, because the last one wins."""

    __slots__ = ("arguments", "ended", "options", "switches")

    def __init__(self) -> None:
        self.options: list[str] = []
        self.switches: dict[str, bool] = {}
        self.arguments: list[str] = []
        self.ended = False
        """True if `--` was read, after which every word is an argument."""

    def words(self) -> Iterator[str]:
        """Yield options before arguments."""
        yield from self.options
        yield from (name for name, on in self.switches.items() if on)
        if self.ended:
            yield _END
        yield from self.arguments


class _UnknownError(Exception):
    """A word that is no option of the command."""


def ordered(root: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """Return the words in the order of argparse; ends with the command's error when a switch has a wrong value."""
    found = list(_commands(root, words))
    # Cobra takes the word after an option as its value where that is possible at all.
    found.sort(key=lambda one: any(_is_value(one[0], words[place - 1]) for place in one[1] if place))
    for command, places in found:
        names = [words[place] for place in places]
        before = [word for place, word in enumerate(words[: places[-1]]) if place not in places]
        try:
            if _read(command, before).arguments:  # arguments follow the command, so these words are something else
                continue
            return [*names, *_read(command, [*before, *words[places[-1] + 1 :]]).words()]
        except _UnknownError:
            continue
    return list(words)


def output_of(words: Sequence[str]) -> str:
    """Return the value of `--output` in words that are not read yet; empty when it is missing or unknown."""
    given = _value_of(("-o", "--output"), words)
    return given if given in FORMATS else ""


def config_of(words: Sequence[str]) -> str:
    """Return the value of `--config` in words that are not read yet; empty when it is missing."""
    return _value_of(("-c", "--config"), words)


def _value_of(names: Sequence[str], words: Sequence[str]) -> str:
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else next(iter(words[place + 1 :]), "")
    return ""


def _commands(
    root: argparse.ArgumentParser, words: Sequence[str]
) -> Iterator[tuple[argparse.ArgumentParser, list[int]]]:
    """Yield each command that the words may mean, with the places of its own words."""
    end = words.index(_END) if _END in words else len(words)
    nouns = _below(root)
    for first in range(end):
        if nouns is None or words[first] not in nouns.choices:
            continue
        noun = nouns.choices[words[first]]
        verbs = _below(noun)
        if verbs is None:
            yield noun, [first]
            continue
        for second in range(first + 1, end):
            if words[second] in verbs.choices:
                yield verbs.choices[words[second]], [first, second]


def _is_value(command: argparse.ArgumentParser, word_before: str) -> bool:
    return any(word_before in action.option_strings and action.nargs != 0 for action in command._actions)


def _below(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser] | None:
    return next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)


def _read(command: argparse.ArgumentParser, words: Sequence[str]) -> _Read:
    """Sort the words of one command. Raises: `_UnknownError`."""
    read, waiting = _Read(), list(reversed(words))
    options = {name: action for action in command._actions for name in action.option_strings}
    while waiting:
        word = waiting.pop()
        if word == _END:
            read.ended = True
            read.arguments += reversed(waiting)
            break
        if word == "-" or not word.startswith("-"):
            read.arguments.append(word)
            continue
        name, equals, value = word.partition("=")
        action = options.get(name)
        if action is None:
            _joined(options, word, read)
        elif action.nargs != 0:
            _take(read, name, value if equals else None, waiting, options)
        elif isinstance(action, argparse._StoreTrueAction):
            read.switches[action.option_strings[0]] = _truth(command, name, value) if equals else True
            if not equals and _restates(command, waiting):
                waiting.pop()
        else:  # --help
            read.options.append(name)
    return read


def _restates(command: argparse.ArgumentParser, waiting: Sequence[str]) -> bool:
    """Return whether `true` follows a switch of a command without arguments: cobra ignores the word."""
    takes_none = all(action.option_strings for action in command._actions)
    return takes_none and bool(waiting) and waiting[-1].lower() == "true"


def _joined(options: dict[str, argparse.Action], word: str, read: _Read) -> None:
    """Take letters written in one word, as `-ualice`. Raises: `_UnknownError`."""
    if word.startswith("--") or word[:2] not in options:
        raise _UnknownError
    read.options.append(word)


def _take(read: _Read, name: str, value: str | None, waiting: list[str], options: dict[str, argparse.Action]) -> None:
    """Take an option with its value, which is the next word unless that is an option itself."""
    if value is None and waiting and waiting[-1] not in options and waiting[-1] != _END:
        value = waiting.pop()
    read.options += [name] if value is None else [name, value] if _plain(value) else [f"{name}={value}"]


def _plain(value: str) -> bool:
    return bool(value) and not value.startswith("-")


def _truth(command: argparse.ArgumentParser, name: str, value: str) -> bool:
    if value not in _TRUE | _FALSE:
        command.error(f"{name} is true or false, not {value!r}")
    return value in _TRUE
