"""Prints answers: JSON and YAML for programs, sentences for people (`cli.frame.tables` lays out tables).

What Headscale prints too has the shape of Headscale 0.29.2: `given_name`, numeric ids, times as seconds and
nanoseconds. `--modern` gives the shape of the REST API (protojson: lowerCamelCase, ids as strings, RFC 3339), which
messages that only this server has always have.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace

    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

FORMATS = ("json", "json-line", "yaml")


class _Style:
    """The output options of this process; empty `output` means text for people.

    No dataclass, here and in `words`: importing those takes longer than all else that reads a command line.
    """

    __slots__ = ("config", "modern", "output", "program")

    def __init__(self) -> None:
        self.output = ""
        self.modern = False
        self.program = ""
        """The path of this program as it was called."""
        self.config = ""
        """The value of `--config`."""


_style = _Style()


def choose(output: str | None, *, modern: bool) -> None:
    """Set the output options of this process."""
    _style.output, _style.modern = output or "", modern


def choose_command(program: str, config: str) -> None:
    """Set how this program was called, for the commands in texts for people."""
    _style.program, _style.config = program, config


def pasteable(text: str) -> str:
    """Return a text for people in which every command works when it is pasted where this one was typed."""
    if "headscale " not in text or not (_style.config or "/" in _style.program):
        return text
    from services.shared.runtime.command_line import respelled, typed_command

    return respelled(text, typed_command(_style.program, _style.config))


def modern() -> bool:
    """Return whether the shape of the REST API was asked for."""
    return _style.modern


def data(message: Message) -> Any:
    """Return a message as plain data in the shape that was chosen."""
    from cli.frame.headscale_output import is_headscale, shape

    if not _style.modern and is_headscale(message):
        return shape(message, yaml=_style.output == "yaml")
    from google.protobuf.json_format import MessageToDict

    return _complete(message, MessageToDict(message, always_print_fields_with_no_presence=True))


def _complete(message: Message, shown: dict[str, Any]) -> dict[str, Any]:
    """Return the same with null for what is absent, as the REST API has it."""
    whole: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        name = field.json_name
        whole[name] = shown.get(name)
        if field.message_type is None or whole[name] is None:
            continue
        value = getattr(message, field.name)
        if isinstance(whole[name], dict) and not field.message_type.GetOptions().map_entry:
            whole[name] = _complete(value, whole[name])
        elif isinstance(whole[name], list):
            whole[name] = [
                _complete(item, one) if isinstance(one, dict) else one
                for item, one in zip(value, whole[name], strict=True)
            ]
    return whole


def emit(value: Any, style: str) -> None:
    """Print one document in one of FORMATS; `json-line` is the whole document on one line."""
    sys.stdout.write(_document(value, style))


def _document(value: Any, style: str) -> str:
    if style == "yaml":
        return _yaml(value)
    import json

    if style == "json-line":
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    else:
        text = json.dumps(value, indent="\t", ensure_ascii=False)
    return text.translate(_GO_ESCAPES) + "\n"


_GO_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}
"""encoding/json writes these as escapes; in JSON they stand only within strings."""


def _yaml(value: Any) -> str:
    import yaml

    class Written(yaml.SafeDumper):
        """A dumper without anchors: values referenced twice are repeated, as readers of this output expect none."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    text: str = yaml.dump(value, Dumper=Written, sort_keys=False, allow_unicode=True)
    return text


def print_result(arguments: Namespace, message: Message, sentence: str) -> None:
    """Print the result of a change: the message as data for programs, or a sentence for people."""
    if arguments.output:
        emit(data(message), arguments.output)
    else:
        print(pasteable(sentence))


def refusal(text: str, remedy: str, *, program: str = "headscale") -> None:
    """Print on standard error why a command failed: a sentence, or with `-o` a document with the member `error`."""
    if _style.output:
        problem = {"error": text, "remedy": remedy} if remedy and _style.modern else {"error": text}
        sys.stderr.write(_document(problem, _style.output))
        return
    sys.stderr.write(f"{program}: {pasteable(text)}\n")
    if remedy:
        sys.stderr.write(f"  {pasteable(remedy)}\n")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, spare: Sequence[str] = (), empty: str = "") -> None:
    """Print a table for people.

    `spare` names the columns to drop where the terminal is narrow, first ones first. `empty` is printed on standard
    error when there are no rows, and says what to do next.
    """
    from cli.frame.tables import lines

    for line in lines(heads, rows, columns() if sys.stdout.isatty() else 0, spare, colours=_colours()):
        sys.stdout.write(line + "\n")
    if empty and not rows:
        sys.stdout.flush()
        sys.stderr.write(pasteable(empty) + "\n")


def _colours() -> bool:
    """Return whether the output is a terminal that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def when(moment: Timestamp | None, *, absent: str = "-") -> str:
    """Return a time for people, in UTC."""
    if moment is None or (not moment.seconds and not moment.nanos):
        return absent
    at = time.gmtime(moment.seconds)
    return "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*at[:6])


@cache
def columns() -> int:
    """Return the width of the terminal."""
    with suppress(ValueError):
        return max(int(os.environ.get("COLUMNS", "")), 40)
    with suppress(OSError):
        return max(os.get_terminal_size(sys.stdout.fileno()).columns, 40)
    return 100


def show_warnings(warnings: Iterable[str]) -> None:
    """Print warnings on standard error, beside the answer."""
    for warning in warnings:
        sys.stderr.write(f"warning: {warning}\n")
