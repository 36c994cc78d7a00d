"""All commands, read off the parser: what completion, manual and tests are made from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

from cli.frame.parser import Nouns, root


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a noun whose verbs are commands."""

    words: tuple[str, ...]
    parser: argparse.ArgumentParser
    summary: str
    """Empty for one that help does not show."""
    aliases: tuple[str, ...] = ()

    @property
    def verbs(self) -> tuple[Command, ...]:
        """What may follow it."""
        return tuple(_below(self))

    @property
    def runs(self) -> bool:
        """Whether it does something by itself."""
        return self.parser.get_default("run") is not None

    @property
    def options(self) -> tuple[argparse.Action, ...]:
        """Its options, without those that help does not show."""
        shown = (action for action in self.parser._actions if action.option_strings)
        return tuple(action for action in shown if action.help != argparse.SUPPRESS)

    @property
    def positionals(self) -> tuple[argparse.Action, ...]:
        """Its arguments that have no name."""
        return tuple(
            action
            for action in self.parser._actions
            if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
        )


def tree() -> Command:
    """The whole command."""
    return Command((), root(), "control a tailnet of your own")


def walk(command: Command) -> Iterator[Command]:
    """A command and all below it."""
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
