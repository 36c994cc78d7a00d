"""`headscale help` and `headscale man`: the manual, made from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cli.frame.parser import declare as declare_command

if TYPE_CHECKING:
    from cli.frame.tree import Command

_ENVIRONMENT = (
    ("HEADSCALE_CONFIG", "The configuration file; -c takes precedence."),
    ("HEADSCALE_CLI_ADDRESS", "The server to administer, HOST:PORT. Empty: the unix socket of this host."),
    ("HEADSCALE_CLI_API_KEY", "The API key for it."),
    ("HEADSCALE_CLI_TIMEOUT", "Longest wait for an answer, as in 5s."),
    ("HEADSCALE_CLI_INSECURE", "true: accept any certificate."),
    ("SMARTSCALE_CLI_MODERN", "Not empty: as if --modern were given."),
    ("NO_COLOR", "Not empty: no colours."),
)
_STATUS = (
    ("0", "Done."),
    ("1", "Refused, or the server cannot be reached: nothing was changed."),
    ("2", "Wrong use."),
    ("130", "Interrupted."),
)


def declare(nouns: Any) -> None:
    """Add both commands."""
    show = declare_command(
        nouns, "help", _help, "Explain a command", (), "headscale help users create\n  headscale help"
    )
    show.add_argument("words", nargs="*", metavar="COMMAND", help="a command; none: all of them")
    pages = declare_command(nouns, "man", _man, "Write manual pages", (), "headscale man /usr/local/share/man/man1")
    pages.add_argument("folder", metavar="DIR", help="folder; made where it does not exist")


def _help(arguments: argparse.Namespace) -> None:
    from cli.frame.parser import root

    root().parse_args([*arguments.words, "--help"])


def _man(arguments: argparse.Namespace) -> None:
    from pathlib import Path

    from cli.frame.tree import tree, walk

    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for command in walk(tree()):
        if command.summary:
            (folder / f"{name_of(command)}.1").write_text(page(command), encoding="utf-8")
            count += 1
    print(f"{count} pages in {folder}")


def name_of(command: Command) -> str:
    """Return the name of a page, as `headscale-users-create`."""
    return "-".join(("headscale", *command.words))


def page(command: Command) -> str:
    """Return a manual page in roff."""
    return "\n".join(_page(command)) + "\n"


def _page(command: Command) -> Iterator[str]:
    parser = command.parser
    yield f'.TH "{name_of(command).upper()}" "1" "" "smartscale" "headscale manual"'
    yield ".SH NAME"
    yield f"{_text(name_of(command))} \\- {_text(command.summary)}"
    yield ".SH SYNOPSIS"
    yield _text(" ".join(parser.format_usage().removeprefix("usage: ").split()))
    yield ".SH DESCRIPTION"
    yield _text(parser.description or command.summary)
    if command.aliases:
        yield ".PP"
        yield f"Also: {_text(', '.join(command.aliases))}"
    for head, actions in (("ARGUMENTS", command.positionals), ("OPTIONS", command.options)):
        yield from _section(head, [(_invocation(one), (one.help or "").replace("%%", "%")) for one in actions])
    verbs = [(" ".join(("headscale", *verb.words)), verb.summary) for verb in command.verbs if verb.summary]
    yield from _section("COMMANDS", verbs)
    if parser.epilog:
        yield ".SH EXAMPLES"
        yield ".nf"
        yield from (_text(line.strip()) for line in parser.epilog.splitlines()[1:])
        yield ".fi"
    if command.words:
        yield ".SH SEE ALSO"
        yield f"{_text('-'.join(('headscale', *command.words[:-1])))}(1)"
    else:
        yield from _section("ENVIRONMENT", _ENVIRONMENT)
        yield from _section("EXIT STATUS", _STATUS)


def _section(head: str, items: Sequence[tuple[str, str]]) -> Iterator[str]:
    if items:
        yield f".SH {head}"
    for name, text in items:
        yield from _item(name, text)


def _item(name: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield f"\\fB{_text(name)}\\fR"
    yield _text(text) or "\\&"


def _invocation(action: argparse.Action) -> str:
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    if not action.option_strings:
        return str(value)
    names = ", ".join(action.option_strings)
    return names if action.nargs == 0 else f"{names} {value}"


def _text(text: str) -> str:
    """Text that roff prints as it is."""
    escaped = " ".join(text.split()).replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped.startswith((".", "'")) else escaped
