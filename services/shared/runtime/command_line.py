"""How an administrator types our command line on this host, so that the commands that we print work when pasted.

Texts write commands as `headscale users list`. What shows them to a person replaces the program's name by its place
where `headscale` is not on the path, and names the configuration where it is not in the usual folder. Runs nothing.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

_NAMES = ("headscale", "smartscale")
_DEFAULT_FOLDER = Path("/etc/headscale")
"""The only folder that is searched whoever types the command, and wherever."""
_COMMAND = re.compile(r"(?<![\w./@-])headscale (?=(?:--)?[a-z])", re.ASCII)
"""In lower case and before a word or a long option it is a command; the product is written Headscale."""


def command_line(source: Path | None) -> str:
    """Return the words before a noun, for a server with its configuration from `source` (None: no file)."""
    program = _program_of(sys.argv[0], sys.executable)
    if source is None or source.absolute().parent == _DEFAULT_FOLDER:
        return program
    return f"{program} -c {shlex.quote(str(source.absolute()))}"


def typed_command(program: str, config: str) -> str:
    """Return the words before a noun as the caller of this very command typed them; empty `config` means no `-c`."""
    name = Path(program).name
    typed = shlex.quote(_shortest(program)) if name in _NAMES else _NAMES[0]
    return f"{typed} -c {shlex.quote(config)}" if config else typed


def respelled(text: str, command: str) -> str:
    """Return a text whose commands begin with `command`."""
    return _COMMAND.sub(lambda _: f"{command} ", text)


def _program_of(started: str, interpreter: str) -> str:
    """Return the program's name if the path finds it, else its whole path."""
    beside = str(Path(interpreter).with_name(_NAMES[0]))
    program = str(Path(started).absolute()) if Path(started).name in _NAMES else beside
    return shlex.quote(_shortest(program)) if os.access(program, os.X_OK) else _NAMES[0]


def _shortest(program: str) -> str:
    """Return the name of a program if the path finds this one under it, else the program as it is given."""
    name = Path(program).name
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = Path(folder, name)
        if os.access(found, os.X_OK):
            return name if found.resolve() == Path(program).resolve() else program
    return program
