"""Reads documents named on the command line, policies and described tailnets, within a size limit."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from cli.frame.errors import CommandError
from cli.frame.output import emit

LIMIT = 4 << 20


def add_file(parser: argparse.ArgumentParser) -> None:
    """Add the policy file, given after the verb or with -f."""
    parser.add_argument("path", nargs="?", metavar="FILE", default="")
    parser.add_argument("-f", "--file", default="", help="HuJSON or YAML; - for standard input")


def add_topology(parser: argparse.ArgumentParser) -> None:
    """Add `--topology`, a described tailnet in place of the live one."""
    parser.add_argument("--topology", default="", metavar="FILE", help="a described tailnet instead of the live one")


def path_of(arguments: argparse.Namespace) -> str:
    """Return the named file. Raises: `CommandError` when there is none."""
    path: str = arguments.file or arguments.path
    if not path:
        raise CommandError("which file?", "add --file FILE, or - for standard input", status=2)
    return path


def read_text(arguments: argparse.Namespace) -> str:
    """Return the text of the named policy. Raises: `CommandError`."""
    return read_file(path_of(arguments))


def read_file(path: str) -> str:
    """Return the text of a file. Raises: `CommandError`."""
    try:
        raw = _read(path)
        if len(raw) > LIMIT:
            raise CommandError(f"{path}: larger than {LIMIT} bytes")
        return raw.decode()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError):
            raise CommandError(f"{path}: {error.strerror}") from None
        raise CommandError(f"{path}: not UTF-8 text") from None


def refuse(errors: Sequence[str], output: str | None) -> NoReturn:
    """End with errors: as data on standard output for programs, as text for people.

    Raises:
        CommandError: always.
    """
    if output:
        emit({"errors": list(errors)}, output)
    raise CommandError("\n  ".join(errors))


@contextlib.contextmanager
def refusals_as_data(arguments: argparse.Namespace) -> Iterator[None]:
    """Print what a server refuses as data for programs too, a text per line."""
    try:
        yield
    except CommandError as error:
        if not arguments.output or error.remedy or error.status != 1:
            raise
        refuse(str(error).splitlines(), arguments.output)


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(LIMIT + 1)
    with Path(path).open("rb") as file:
        return file.read(LIMIT + 1)
