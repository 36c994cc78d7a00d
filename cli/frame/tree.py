"""All commands as data, read from the parser. Completion, manual and tests are made from it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from cli.frame.parser import Nouns, root


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a noun with commands below it."""

    words: tuple[str, ...]
    parser: argparse.ArgumentParser
    summary: str
    """Empty for a command without an entry in the help."""
    aliases: tuple[str, ...] = ()

    @property
    def verbs(self) -> tuple[Command, ...]:
        """The commands below it."""
        return tuple(_below(self))

    @property
    def runs(self) -> bool:
        """True if it can be run."""
        return self.parser.get_default("run") is not None

    @property
    def options(self) -> tuple[argparse.Action, ...]:
        """Its options, without hidden ones."""
        shown = (action for action in self.parser._actions if action.option_strings)
        return tuple(action for action in shown if action.help != argparse.SUPPRESS)

    @property
    def positionals(self) -> tuple[argparse.Action, ...]:
        """Its positional arguments."""
        return tuple(
            action
            for action in self.parser._actions
            if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
        )


def tree() -> Command:
    """Return the whole command line."""
    return Command((), root(), "control a tailnet of your own")


def walk(command: Command) -> Iterator[Command]:
    """Yield a command and all commands below it."""
    yield command
    for verb in command.verbs:
        yield from walk(verb)


def _below(command: Command) -> Iterator[Command]:
    for action in command.parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        if isinstance(action, Nouns):
            action.load_all()
        summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
        names: dict[int, list[str]] = {}
        for name, parser in action.choices.items():
            names.setdefault(id(parser), []).append(name)
        for first, *aliases in names.values():
            parser = action.choices[first]
            yield Command((*command.words, first), parser, summaries.get(first, ""), tuple(aliases))
