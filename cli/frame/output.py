"""How answers are printed: JSON and YAML for programs, sentences for people (their tables are in `cli.frame.tables`).

The data shape is that of the REST API (protojson): lowerCamelCase, ids as strings, times in RFC 3339; on demand it is
that of older versions.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace

    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

FORMATS = ("json", "json-line", "yaml")


_wanted = {"historic": "", "output": ""}


def choose(output: str | None, historic: bool) -> None:
    """Say once how data is wanted."""
    _wanted.update(historic="yes" if historic else "", output=output or "")


def historic() -> bool:
    """Whether data is wanted as older versions printed it."""
    return bool(_wanted["historic"])


def data(message: Message) -> Any:
    """A message as plain data, with every field present."""
    if historic():
        from cli.frame.legacy_output import shape

        return shape(message, yaml=_wanted["output"] == "yaml")
    from google.protobuf.json_format import MessageToDict

    return _complete(message, MessageToDict(message, always_print_fields_with_no_presence=True))


def _complete(message: Message, shown: dict[str, Any]) -> dict[str, Any]:
    """The same with null for what is absent, as the REST API has it."""
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
    """Print data in one of FORMATS."""
    if style == "yaml":
        import yaml

        class Written(yaml.SafeDumper):
            """Writes what is shared as often as it stands: anchors are for nobody who reads."""

            def ignore_aliases(self, data: Any) -> bool:
                return True

        sys.stdout.write(yaml.dump(value, Dumper=Written, sort_keys=False, allow_unicode=True))
        return
    import json

    if style == "json-line":
        for line in value if isinstance(value, list) else [value]:
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(json.dumps(value, indent="\t", ensure_ascii=False) + "\n")


def tell(arguments: Namespace, answer: Message, sentence: str) -> None:
    """Say what was done: the answer as data for programs, or a sentence for people."""
    if arguments.output:
        emit(data(answer), arguments.output)
    else:
        print(sentence)


def refusal(text: str, remedy: str) -> None:
    """Say on standard error why a command was not done; older versions did it in the form of the output."""
    if historic() and _wanted["output"]:
        import json

        sys.stderr.write(json.dumps({"error": text}, ensure_ascii=False) + "\n")
        return
    sys.stderr.write(f"headscale: {text}\n")
    if remedy:
        sys.stderr.write(f"  {remedy}\n")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, spare: Sequence[str] = ()) -> None:
    """Print a table for people; `spare` are the columns to leave out first where the terminal is narrow."""
    from cli.frame.tables import lines

    for line in lines(heads, rows, columns() if sys.stdout.isatty() else 0, spare, colours=_colours()):
        sys.stdout.write(line + "\n")


def _colours() -> bool:
    """Whether the output is a terminal that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def when(moment: Timestamp | None, *, absent: str = "-") -> str:
    """A time for people, in UTC."""
    if moment is None or (not moment.seconds and not moment.nanos):
        return absent
    at = time.gmtime(moment.seconds)
    return "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*at[:6])


@cache
def columns() -> int:
    """The width of the terminal."""
    with suppress(ValueError):
        return max(int(os.environ.get("COLUMNS", "")), 40)
    with suppress(OSError):
        return max(os.get_terminal_size(sys.stdout.fileno()).columns, 40)
    return 100
