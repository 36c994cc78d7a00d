"""Declares commands: a noun, a verb, its aliases, its arguments, and the function that runs it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import Any, NoReturn

from cli.frame.commands import MODULES
from cli.frame.output import FORMATS, columns, pasteable, refusal

# argparse searches translations of its texts, which do not exist: dozens of file accesses before each short command.
setattr(argparse, "_", str)  # noqa: B010  not an attribute that checkers know

Run = Callable[[argparse.Namespace], None]
_ALIKE = 0.7
"""Ratio of difflib from which a word is taken for a slip: `lst` for `list` has 0.86, `--foo` for `--force` 0.67."""


class Help(argparse.RawDescriptionHelpFormatter):
    """Help formatter with the width of the terminal. argparse creates one for each option, so it must be cheap."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(columns(), 120) - 2, max_help_position=32)


class Parser(argparse.ArgumentParser):
    """Explains wrong use in one line and points at the help. Options are not recognised by their beginnings."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, "formatter_class": Help, **keywords})

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, as other commands do on wrong use."""
        refusal(message, f"see: {self.prog} --help", program=self.prog)
        self.exit(2)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Read words; a command refuses those that it does not know, and points at its own help."""
        read, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown[0]))
        return read, unknown

    def print_help(self, file: Any = None) -> None:
        """Print the help; its examples begin as this command did."""
        what, examples, lines = self.format_help().partition("\nexamples:\n")
        self._print_message(what + examples + pasteable(lines), sys.stdout if file is None else file)

    def _unknown(self, word: str) -> str:
        name = word.partition("=")[0]
        if not word.startswith("-"):
            return f"unexpected argument {word!r}"
        return f"unknown option {name}" + nearest(name, self._option_string_actions)

    def format_help(self) -> str:
        """Return the help, with every command in it."""
        for action in self._actions:
            if isinstance(action, Nouns):
                action.load_all()
        return super().format_help()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            if isinstance(action, Nouns):
                action.load_all()
            raise argparse.ArgumentError(None, f"unknown command {str(value)!r}" + nearest(str(value), action.choices))
        if action.choices is not None and value not in action.choices and (value or action.dest != "output"):
            known = ", ".join(choice for choice in action.choices if isinstance(choice, str))
            raise argparse.ArgumentError(action, f"{str(value)!r} is not one of: {known}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the known word most like this one; empty when none is like it."""
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), 1, _ALIKE)
    return f"; did you mean {close[0]!r}?" if close else ""


class Nouns(argparse._SubParsersAction):  # type: ignore[type-arg]  # generic only for checkers, not when it runs
    """The nouns; the module of a noun is imported when its name is used."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._name_parser_map = self.choices = _Names(self)
        self._modules = {name: module for module, names in MODULES for name in names}

    def load(self, name: str) -> None:
        """Import the module that declares a name, unless that was done."""
        module = self._modules.get(name)
        if module is not None:
            self._modules = {other: at for other, at in self._modules.items() if at != module}
            import_module(module).declare(self)

    def load_all(self) -> None:
        """Import every module, in the order of the help."""
        for _, names in MODULES:
            self.load(names[0])
        order = [name for _, names in MODULES for name in names]
        self._choices_actions.sort(key=lambda action: order.index(action.dest))


class _Names(dict[str, Any]):
    """Parsers by name; the test for a name imports its module."""

    def __init__(self, nouns: Nouns) -> None:
        super().__init__()
        self._nouns = nouns

    def __contains__(self, name: object) -> bool:
        self._nouns.load(str(name))
        return super().__contains__(name)


def root() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="headscale",
        description="smartscale: a Tailscale control plane that you host yourself",
        epilog="examples:\n  headscale serve\n  headscale users create alice\n"
        "  headscale preauthkeys create --user alice --reusable\n  headscale nodes list -o json",
    )
    _common(parser, top=True)
    parser.add_subparsers(dest="noun", metavar="COMMAND", action=Nouns, parser_class=Parser, prog=parser.prog)
    return parser


def _common(parser: argparse.ArgumentParser, top: bool = False) -> None:
    default: Any = None if top else argparse.SUPPRESS
    off: Any = False if top else argparse.SUPPRESS
    group = parser.add_argument_group("everywhere")
    group.add_argument("-c", "--config", metavar="FILE", default=default, help="configuration file")
    group.add_argument("-o", "--output", choices=FORMATS, default=default, help="print data for programs")
    group.add_argument(
        "--modern", action="store_true", default=off, help="with -o: data as the REST API has it, not as Headscale 0.29"
    )
    group.add_argument("--historic", action="store_true", default=off, help=argparse.SUPPRESS)  # the default now
    group.add_argument(
        "--force", action="store_true", default=off, help="skip questions before changes that cannot be undone"
    )


class Noun:
    """A group of verbs, such as `users`."""

    def __init__(self, nouns: Any, name: str, help_text: str, aliases: Sequence[str] = ()) -> None:
        self._name = name
        self._parser = nouns.add_parser(name, aliases=list(aliases), help=help_text, description=help_text)
        _common(self._parser)
        # As with cobra, a group that is named without a verb prints its help, which is no failure.
        self._parser.set_defaults(group=self._parser)
        self._verbs = self._parser.add_subparsers(dest="verb", metavar="COMMAND", prog=self._parser.prog)

    def verb(
        self, name: str, run: Run, help_text: str, aliases: Sequence[str] = (), example: str = ""
    ) -> argparse.ArgumentParser:
        """Declare a verb and return its parser, to add arguments to. Further examples stand on lines of their own."""
        example = example or f"headscale {self._name} {name}"
        self._parser.epilog = f"{self._parser.epilog or 'examples:'}\n  {example}"
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
        epilog=f"examples:\n  {example or f'headscale {name}'}",
    )
    _common(parser)
    parser.set_defaults(run=run)
    return parser


def declare_hidden(commands: Any, name: str, run: Run, aliases: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Declare a command without an entry in the help."""
    parser: argparse.ArgumentParser = commands.add_parser(name, aliases=list(aliases), epilog=f"example:\n  {name}")
    _common(parser)
    parser.set_defaults(run=run)
    return parser
