"""How commands are declared: a noun, a verb, its aliases, its arguments, and what runs it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from cli.output import FORMATS

Run = Callable[[argparse.Namespace], None]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with where to read more."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, as other commands do on wrong use."""
        self.exit(2, f"{self.prog}: {message}\nsee: {self.prog} --help\n")


def root() -> Parser:
    """The parser of the whole command."""
    parser = Parser(
        prog="headscale",
        description="smartscale: a Tailscale control plane that you host yourself",
        epilog="examples:\n  headscale serve\n  headscale users create alice\n"
        "  headscale preauthkeys create --user alice --reusable\n  headscale nodes list -o json",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(parser, top=True)
    return parser


def _common(parser: argparse.ArgumentParser, top: bool = False) -> None:
    default: Any = None if top else argparse.SUPPRESS
    off: Any = False if top else argparse.SUPPRESS
    group = parser.add_argument_group("everywhere")
    group.add_argument("-c", "--config", metavar="FILE", default=default, help="configuration file")
    group.add_argument("-o", "--output", choices=FORMATS, default=default, help="for programs instead of people")
    group.add_argument("--force", action="store_true", default=off, help="do not ask before what cannot be undone")


class Noun:
    """A group of verbs, such as `users`."""

    def __init__(self, nouns: Any, name: str, help_text: str, aliases: Sequence[str] = ()) -> None:
        parser = nouns.add_parser(name, aliases=list(aliases), help=help_text, description=help_text)
        _common(parser)
        self._name = name
        self._verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)

    def verb(
        self, name: str, run: Run, help_text: str, aliases: Sequence[str] = (), example: str = ""
    ) -> argparse.ArgumentParser:
        """Declare a verb; arguments are added to what is returned."""
        return declare(self._verbs, name, run, help_text, aliases, example)


def declare(
    commands: Any, name: str, run: Run, help_text: str, aliases: Sequence[str] = (), example: str = ""
) -> argparse.ArgumentParser:
    """Declare a command that runs something."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        aliases=list(aliases),
        help=help_text,
        description=help_text,
        epilog=f"example:\n  {example}" if example else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _common(parser)
    parser.set_defaults(run=run)
    return parser
